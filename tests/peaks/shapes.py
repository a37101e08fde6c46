"""Models of random weights that were measured: configurations, as config.json has them."""

from __future__ import annotations

from typing import Any


def _config(
    kind: str, hidden: int, layers: int, inner: int, heads: int, kv: int, words: int, tied: bool
) -> dict[str, Any]:
    return {
        "model_type": kind, "hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": inner,
        "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": words, "dtype": "bfloat16",
        "tie_word_embeddings": tied, "max_position_embeddings": 8192,
    }  # fmt: skip


RANDOM = {
    "gqa-0.3b": _config("llama", 1024, 16, 4096, 16, 4, 32000, tied=False),
    "qwen-0.5b": _config("qwen2", 896, 24, 4864, 14, 2, 151936, tied=True),
    "wide-1b": _config("llama", 2048, 16, 5632, 32, 32, 32000, tied=False),
}
