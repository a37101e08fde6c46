"""The fixed texts that a model is judged by; sentences of this project's own.

The passage's id is in the profiles beside what was measured on it: a change here makes those figures void,
and the generous bound holds until they are measured again.
"""

from __future__ import annotations

import hashlib
from typing import Tuple

# Everyday sentences that any language model knows how to go on with, in four languages, code and numbers.
FIRST = (
    "The sun rises in the east and sets in the west. Water boils at one hundred degrees Celsius and freezes"
    " at zero. Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.\n"
    "春天来了,花儿开了,鸟儿在树上唱歌。北京是中国的首都,巴黎是法国的首都,东京是日本的首都。\n"
    "Der Hund schläft unter dem Tisch, und die Katze sitzt auf dem Stuhl. La maison est grande et le jardin"
    " est petit.\ndef add(a, b):\n    return a + b\n"
    "The box with the blue lid holds seven spoons, four forks and a letter from Mira to her brother in Oslo."
    "\n1, 2, 3, 4, 5, 6, 7, 8, 9, 10.\n"
)
# Said before: a model whose attention works repeats it nearly for sure, whatever its vocabulary is called.
REPEATED = (
    "The sun rises in the east and sets in the west. 春天来了,花儿开了,鸟儿在树上唱歌。"
    "The box with the blue lid holds seven spoons, four forks and a letter from Mira to her brother in Oslo."
)
PASSAGE = FIRST + REPEATED
PASSAGE_ID = hashlib.sha256(PASSAGE.encode()).hexdigest()[:12]

# What a tokenizer's fingerprint is taken over: scripts, digits, spaces, code and signs part tokenizers.
FINGERPRINT_TEXTS: Tuple[str, ...] = (
    PASSAGE,
    "你好,Open-AutoGLM! 打开设置,点击“关于手机”。",
    "  two spaces,\ttab,\n\nblank line; 1234567890 3.14159 0xFF -17%",
    "Ωμέγα, привет, مرحبا, שלום, こんにちは, 안녕하세요, नमस्ते, ไทย, 🙂🚀",
    "for (int i = 0; i < n; ++i) { total += values[i]; } // don't",
)
