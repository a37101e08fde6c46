"""Models made of a header and a hole: as large as wanted, and nothing on the disk."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

HIDDEN, LAYERS, HEADS, INNER = 1536, 2, 16, 3072
VOCABULARY = 16_000
CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": 4, "intermediate_size": INNER, "vocab_size": VOCABULARY,
    "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip


def tensors(layers: range = range(LAYERS), *, embedding: bool = True) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a small Llama, outermost dimension first."""
    found: dict[str, tuple[int, ...]] = {}
    if embedding:
        found["model.embed_tokens.weight"] = (VOCABULARY, HIDDEN)
        found["model.norm.weight"] = (HIDDEN,)
    for layer in layers:
        name = f"model.layers.{layer}."
        found[name + "self_attn.q_proj.weight"] = (HIDDEN, HIDDEN)
        found[name + "self_attn.k_proj.weight"] = (HIDDEN // 4, HIDDEN)
        found[name + "self_attn.v_proj.weight"] = (HIDDEN // 4, HIDDEN)
        found[name + "self_attn.o_proj.weight"] = (HIDDEN, HIDDEN)
        found[name + "mlp.gate_proj.weight"] = (INNER, HIDDEN)
        found[name + "mlp.up_proj.weight"] = (INNER, HIDDEN)
        found[name + "mlp.down_proj.weight"] = (HIDDEN, INNER)
    return found


def values_of(shapes: dict[str, tuple[int, ...]]) -> int:
    """How many values they have."""
    count = 0
    for shape in shapes.values():
        product = 1
        for length in shape:
            product *= length
        count += product
    return count


def safetensors(path: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> Path:
    """A whole BF16 file whose data is a hole."""
    shapes = tensors() if shapes is None else shapes
    table, at = {}, 0
    for name, shape in shapes.items():
        nbytes = 2 * values_of({name: shape})
        table[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + nbytes]}
        at += nbytes
    text = json.dumps(table).encode()
    return _with_hole(path, struct.pack("<Q", len(text)) + text, at)


def gguf(path: Path, **more: Any) -> Path:
    """A whole F16 file of the same model; numbers in `more` replace or add metadata, lists are arrays."""
    metadata: dict[str, Any] = {
        "general.architecture": "llama", "llama.block_count": LAYERS, "llama.embedding_length": HIDDEN,
        "llama.attention.head_count": HEADS, "llama.attention.head_count_kv": [4, 2],
        "llama.feed_forward_length": INNER, "llama.context_length": 8192,
    } | more  # fmt: skip
    shapes = {"token_embd.weight": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        shapes[f"blk.{layer}.attn_q.weight"] = (HIDDEN, HIDDEN)
        shapes[f"blk.{layer}.attn_k.weight"] = ((384, 192)[layer], HIDDEN)
        shapes[f"blk.{layer}.ffn_down.weight"] = (HIDDEN, INNER)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(metadata))
    for key, value in metadata.items():
        head += _text(key) + _value(value)
    at = 0
    for name, shape in shapes.items():
        head += _text(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", length) for length in reversed(shape)) + struct.pack("<IQ", 1, at)
        at += -(-2 * values_of({name: shape}) // 32) * 32
    return _with_hole(path, head + b"\0" * (-len(head) % 32), at)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 4, len(value)) + struct.pack(f"<{len(value)}I", *value)
    return struct.pack("<I", 8) + _text(value) if isinstance(value, str) else struct.pack("<II", 4, value)


def _with_hole(path: Path, head: bytes, data: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data)
    return path
