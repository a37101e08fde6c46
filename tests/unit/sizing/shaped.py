"""Descriptions of models for the tests: small ones of each kind, as their config.json writes them."""

from __future__ import annotations

from typing import Any, NamedTuple

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}  # fmt: skip


def llama(**changes: Any) -> dict[str, Any]:
    """LLAMA with other values; None takes a field away."""
    return {name: value for name, value in {**LLAMA, **changes}.items() if value is not None}


class Tensor(NamedTuple):
    """A tensor of a header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
