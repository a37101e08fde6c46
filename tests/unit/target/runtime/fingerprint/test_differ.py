"""A published model is damaged in one way; the sentences must say in which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime import fingerprint
from provisioner.target.runtime.fingerprint import NOTHING_RECORDED, RECORD, what_differs
from provisioner.target.runtime.fingerprint.differ import folded

from .models import CONFIG, KEYS, Tensors, gguf, llama, write_sharded

Q, K, UP = "self_attn.q_proj.weight", "self_attn.k_proj.weight", "mlp.up_proj.weight"
FIRST, SECOND = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_sharded(tmp_path / "m", llama())
    fingerprint.record(str(tmp_path / "m"))
    return tmp_path / "m"


def swap(tensors: Tensors, one: str, other: str) -> None:
    tensors[one], tensors[other] = tensors[other], tensors[one]


def layer(i: int, name: str) -> str:
    return f"model.layers.{i}.{name}"


def flip(tensors: Tensors, name: str) -> None:
    dtype, shape, content = tensors[name]
    tensors[name] = (dtype, shape, bytes([content[0] ^ 1]) + content[1:])


def exchange_layers(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.0.")]:
        swap(tensors, name, name.replace(".0.", ".2."))


def rotate_layers(tensors: Tensors) -> None:
    old = dict(tensors)
    for name in old:
        for i, source in ((0, 1), (1, 2), (2, 0)):
            if name.startswith(f"model.layers.{i}."):
                tensors[name] = old[name.replace(f".{i}.", f".{source}.")]


def copy_layer(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        tensors[name] = tensors[name.replace(".1.", ".3.")]


def shuffle(tensors: Tensors) -> None:
    """Three of one shape, each with the next one's content."""
    names = [layer(i, Q) for i in range(3)]
    contents = [tensors[name] for name in names]
    for i, name in enumerate(names):
        tensors[name] = contents[(i + 1) % 3]


def zero(tensors: Tensors) -> None:
    for name in (layer(1, UP), layer(3, UP)):
        tensors[name] = (*tensors[name][:2], bytes(len(tensors[name][2])))


def reshape(tensors: Tensors) -> None:
    dtype, shape, content = tensors[layer(0, UP)]
    tensors[layer(0, UP)] = (dtype, shape[::-1], content)


def rename(tensors: Tensors) -> None:
    for name in list(tensors):
        one = tensors.pop(name)
        tensors["new" if name == layer(0, UP) else name] = one


def flip_all(tensors: Tensors) -> None:
    for name in tensors:
        flip(tensors, name)


TENSORS: dict[str, tuple[Callable[[Tensors], None], list[str]]] = {
    "nothing": (lambda tensors: None, []),
    "one bit": (
        lambda tensors: flip(tensors, layer(2, Q)),
        [f"{layer(2, Q)} in {SECOND} is not what was published"],
    ),
    "two exchanged": (
        lambda tensors: swap(tensors, layer(0, K), layer(3, K)),
        [f"tensors {layer(0, K)} and {layer(3, K)} are exchanged"],
    ),
    "layers exchanged": (exchange_layers, ["layers 0 and 2 of model.layers are exchanged"]),
    "layers rotated": (
        rotate_layers,
        [
            "layer 0 of model.layers holds what belongs to layer 1",
            "layer 1 of model.layers holds what belongs to layer 2",
            "layer 2 of model.layers holds what belongs to layer 0",
        ],
    ),
    "a layer copied": (copy_layer, ["layer 1 of model.layers holds what belongs to layer 3"]),
    "shuffled": (
        shuffle,
        [f"{layer(i, Q)} holds what belongs to {layer((i + 1) % 3, Q)}" for i in range(3)],
    ),
    "zeroed": (zero, [f"{layer(1, UP)} in {FIRST} is all zeros", f"{layer(3, UP)} in {SECOND} is all zeros"]),
    "reshaped": (reshape, [f"{layer(0, UP)} in {FIRST} is F32 [8, 16] instead of F32 [16, 8]"]),
    "renamed": (
        rename,
        [f"{layer(0, UP)} is missing in {FIRST}", f"new in {FIRST} was not published with it"],
    ),
    "everything": (
        flip_all,
        [
            f"11 of the 11 tensors in {FIRST} are not what was published",
            f"10 of the 10 tensors in {SECOND} are not what was published",
        ],
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(case: str, model: Path) -> None:
    damage, sentences = TENSORS[case]
    tensors = llama()
    damage(tensors)
    index = (model / "model.safetensors.index.json").read_bytes()
    write_sharded(model, tensors)
    (model / "model.safetensors.index.json").write_bytes(index)
    assert what_differs(str(model)) == sentences


def cut(path: Path, count: int) -> None:
    os.truncate(path, path.stat().st_size - count)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:9] = b"<!DOCTYPE"
    path.write_bytes(content)


def change_config(model: Path, **values: Any) -> None:
    config = {key: value for key, value in {**CONFIG, **values}.items() if value != "gone"}
    (model / "config.json").write_text(json.dumps(config))


FILES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a shard cut": (
        lambda model: cut(model / SECOND, 1000),
        [f"{SECOND} ends early: 1.0 kB of its 3.0 kB are missing"],
    ),
    "a shard cut in its header": (
        lambda model: os.truncate(model / SECOND, 100),
        [f"{SECOND} ends early: 2.9 kB of its 3.0 kB are missing"],
    ),
    "a shard gone": (lambda model: (model / FIRST).unlink(), [f"{FIRST} is missing"]),
    "a shard replaced": (
        lambda model: spoil(model / FIRST),
        [f"{FIRST} is damaged: it is no safetensors file: its first bytes give no length of a header"],
    ),
    "metadata": (
        lambda model: (model / FIRST).write_bytes((model / FIRST).read_bytes().replace(b'"pt"', b'"np"')),
        [f'{FIRST}: format is "np" instead of "pt"'],
    ),
    "outside the tensors": (
        lambda model: (model / FIRST).write_bytes((model / FIRST).read_bytes() + b"more"),
        [f"{FIRST} is not what was published, outside its tensors"],
    ),
    "the tokenizer": (
        lambda model: (model / "tokenizer.json").write_text("{}"),
        ["the tokenizer differs: tokenizer.json"],
    ),
    "both files of the tokenizer": (
        lambda model: [
            (model / name).write_text("[]") for name in ("tokenizer.json", "tokenizer_config.json")
        ],
        ["the tokenizer differs: tokenizer.json, tokenizer_config.json"],
    ),
    "the tokenizer gone": (lambda model: (model / "tokenizer.json").unlink(), ["tokenizer.json is missing"]),
    "one number": (
        lambda model: change_config(model, num_hidden_layers=3),
        ["config.json: num_hidden_layers is 3 instead of 4"],
    ),
    "several values": (
        lambda model: change_config(
            model, rope_scaling={"type": "linear"}, vocab_size="gone", architectures=[], extra=True
        ),
        [
            'config.json: architectures is [] instead of ["LlamaForCausalLM"]',
            "config.json: extra was not there",
            "config.json: rope_scaling is missing",
            "config.json: rope_scaling.type was not there",
            "config.json: vocab_size is missing",
        ],
    ),
    "one is not true": (
        lambda model: change_config(model, num_key_value_heads=True),
        ["config.json: num_key_value_heads is true instead of 1"],
    ),
    "no JSON": (
        lambda model: (model / "config.json").write_text("{"),
        ["config.json is not what was published"],
    ),
    "other spaces": (
        lambda model: (model / "config.json").write_text(json.dumps(CONFIG, indent=3)),
        ["config.json is not what was published"],
    ),
    "a text": (lambda model: (model / "README.md").write_text("x"), ["README.md is not what was published"]),
    "one more": (
        lambda model: (model / "added_tokens.json").write_text("{}"),
        ["added_tokens.json was not published with it"],
    ),
    "touched": (lambda model: os.utime(model / FIRST, (1, 1)), []),
    "hidden": (lambda model: (model / ".scratch").mkdir(), []),
}


@pytest.mark.parametrize("case", FILES)
def test_files(case: str, model: Path) -> None:
    damage, sentences = FILES[case]
    damage(model)
    assert what_differs(str(model)) == sentences


GGUF: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a number": ({"llama.block_count": 3}, ["m.gguf: llama.block_count is 3 instead of 4"]),
    "a fraction": (
        {"llama.rope.freq_base": 9999.5},
        ["m.gguf: llama.rope.freq_base is 9999.5 instead of 10000.5"],
    ),
    "the tokens": (
        {"tokenizer.ggml.tokens": [f"u{i}" for i in range(12)], "tokenizer.ggml.add_bos_token": False},
        ["the tokenizer in m.gguf differs: tokenizer.ggml.add_bos_token, tokenizer.ggml.tokens"],
    ),
    "fewer tokens": (
        {"tokenizer.ggml.tokens": ["a"]},
        ["the tokenizer in m.gguf differs: tokenizer.ggml.tokens"],
    ),
    "the template": (
        {"tokenizer.chat_template": "{{ y }}" * 99},
        ["the tokenizer in m.gguf differs: tokenizer.chat_template"],
    ),
}


@pytest.mark.parametrize("case", GGUF)
def test_keys_of_gguf(case: str, tmp_path: Path) -> None:
    changed, sentences = GGUF[case]
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(llama()))
    fingerprint.record(str(tmp_path))
    assert what_differs(str(tmp_path)) == []
    path.write_bytes(gguf(llama(), {**KEYS, **changed}))
    assert what_differs(str(tmp_path)) == sentences


def test_a_flipped_bit_in_gguf(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(llama()))
    fingerprint.record(str(tmp_path))
    tensors = llama()
    flip(tensors, layer(3, Q))
    path.write_bytes(gguf(tensors))
    assert what_differs(str(tmp_path)) == ["blk.3.attn_q.weight in m.gguf is not what was published"]


def test_without_a_record(tmp_path: Path) -> None:
    write_sharded(tmp_path, llama())
    assert what_differs(str(tmp_path)) == [NOTHING_RECORDED]
    (tmp_path / RECORD).write_text('{"schema": 0}')
    assert what_differs(str(tmp_path)) == [NOTHING_RECORDED]


def test_many_sentences_are_folded() -> None:
    many = [str(i) for i in range(132)]
    assert folded(many) == [*many[:12], "and 120 more"]
    assert (folded(many[:13]), folded([])) == (many[:13], [])
