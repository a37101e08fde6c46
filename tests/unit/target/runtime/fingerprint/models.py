"""Small models as files: two safetensors shards with their index, or one GGUF file."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

Tensors = dict[str, tuple[str, list[int], bytes]]
LAYERS, WIDTH, WORDS, WIDE = 4, 8, 12, 16
CONFIG = {
    "model_type": "llama", "num_hidden_layers": LAYERS, "hidden_size": WIDTH, "vocab_size": WORDS,
    "intermediate_size": WIDE, "num_attention_heads": 2, "num_key_value_heads": 1, "rope_theta": 10000.0,
    "rope_scaling": None, "architectures": ["LlamaForCausalLM"],
}  # fmt: skip


def llama() -> Tensors:
    """A model of CONFIG's sizes, its numbers the same each time."""
    numbers = random.Random(7)
    shapes = {"model.embed_tokens.weight": [WORDS, WIDTH]}
    for layer in range(LAYERS):
        shapes |= {
            f"model.layers.{layer}.{name}": shape
            for name, shape in {
                "self_attn.q_proj.weight": [WIDTH, WIDTH], "self_attn.q_proj.bias": [WIDTH],
                "self_attn.k_proj.weight": [WIDTH // 2, WIDTH], "mlp.up_proj.weight": [WIDE, WIDTH],
                "input_layernorm.weight": [WIDTH],
            }.items()
        }  # fmt: skip
    found: Tensors = {}
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        if name.endswith("norm.weight"):
            values = [1.0] * count
        elif name.endswith("bias"):
            values = [0.0] * count
        else:
            values = [numbers.gauss(0, 1) for _ in range(count)]
        found[name] = ("F32", shape, struct.pack(f"<{count}f", *values))
    return found


def safetensors(tensors: Tensors) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write_sharded(folder: Path, tensors: Tensors, config: dict[str, Any] = CONFIG) -> None:
    """Two shards, their index, a configuration and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, str] = {}
    for number in (1, 2):
        shard = f"model-{number:05}-of-00002.safetensors"
        mine = {
            name: one
            for name, one in tensors.items()
            if (".layers.2." in name or ".layers.3." in name) == (number == 2)
        }
        (folder / shard).write_bytes(safetensors(mine))
        index |= dict.fromkeys(mine, shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 1}}}))
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "README.md").write_text("# A model\n")


KEYS = {
    "general.architecture": "llama", "llama.block_count": LAYERS, "llama.embedding_length": WIDTH,
    "llama.feed_forward_length": WIDE, "llama.attention.head_count": 2, "llama.rope.freq_base": 10000.5,
    "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [f"t{i}" for i in range(WORDS)],
    "tokenizer.ggml.add_bos_token": True, "tokenizer.chat_template": "{{ x }}" * 99,
}  # fmt: skip
_TO_GGUF = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "mlp.up_proj": "ffn_up",
    "input_layernorm": "attn_norm", "model.layers": "blk", "model.embed_tokens": "token_embd",
}  # fmt: skip


def gguf(tensors: Tensors, keys: dict[str, Any] = KEYS) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def pair(value: Any) -> bytes:
        match value:
            case bool():
                return struct.pack("<I?", 7, value)
            case int():
                return struct.pack("<II", 4, value)
            case float():
                return struct.pack("<If", 6, value)
            case str():
                return struct.pack("<I", 8) + text(value)
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(key) + pair(value) for key, value in keys.items())
    data = b""
    for name, (_, shape, content) in tensors.items():
        label = name
        for ours, theirs in _TO_GGUF.items():
            label = label.replace(ours, theirs)
        head += text(label) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<IQ", 0, len(data))
        data += content + bytes(-len(content) % 32)
    return head + bytes(-len(head) % 32) + data
