"""A hundred different prompts, for a healthy model that must pass a hundred times in a hundred."""

from __future__ import annotations

_TOPICS = (
    ("the moon", "月亮"),
    ("bread", "面包"),
    ("a small town by the sea", "海边的小镇"),
    ("photosynthesis", "光合作用"),
    ("the history of the bicycle", "自行车的历史"),
    ("a lost key", "丢失的钥匙"),
    ("green tea", "绿茶"),
    ("volcanoes", "火山"),
    ("the printing press", "印刷术"),
    ("an old oak tree", "一棵老橡树"),
    ("chess", "国际象棋"),
    ("rain in April", "四月的雨"),
    ("the number seven", "数字七"),
    ("a train to Lisbon", "开往里斯本的火车"),
    ("honey bees", "蜜蜂"),
    ("sleep", "睡眠"),
    ("the invention of glass", "玻璃的发明"),
    ("a violin", "小提琴"),
    ("desert foxes", "沙漠狐狸"),
    ("how to fold a paper crane", "怎样折纸鹤"),
)
_FORMS = (
    "Write a short paragraph about {0}.",
    "请写一段关于{1}的短文。",
    "Question: what is interesting about {0}?\nAnswer:",
    "{0}: the three most important facts are",
    "你好,Open-AutoGLM! 我想知道{1}",
)

PROMPTS = tuple(form.format(*topic) for form in _FORMS for topic in _TOPICS)
assert len(set(PROMPTS)) == 100
