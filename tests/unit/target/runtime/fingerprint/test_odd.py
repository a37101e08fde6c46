"""Models that disagree with themselves, and healthy ones that do not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime import fingerprint
from provisioner.target.runtime.fingerprint import odd, oddities

from .models import CONFIG, KEYS, Tensors, gguf, llama, write_sharded

FIRST, SECOND = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
INDEX = "model.safetensors.index.json"
Q = "model.layers.{}.self_attn.q_proj.weight"


def blank(tensors: Tensors, name: str) -> None:
    tensors[name] = (*tensors[name][:2], bytes(len(tensors[name][2])))


def repeat(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        tensors[name] = tensors[name.replace(".1.", ".3.")]


def without(tensors: Tensors, *starts: str) -> None:
    for name in [name for name in tensors if name.startswith(starts)]:
        del tensors[name]


def resized(tensors: Tensors, name: str, shape: list[int]) -> None:
    dtype, _, content = tensors[name]
    tensors[name] = (dtype, shape, (content * 4)[: 4 * shape[0] * shape[1]])


TENSORS: dict[str, tuple[Callable[[Tensors], object], list[str]]] = {
    "healthy": (lambda tensors: None, []),
    "a matrix of zeros": (
        lambda tensors: blank(tensors, Q.format(3)),
        [f"{Q.format(3)} in {SECOND} is all zeros"],
    ),
    "a norm of zeros may be meant": (
        lambda tensors: blank(tensors, "model.layers.0.input_layernorm.weight"),
        [],
    ),
    "a repeated layer": (repeat, ["layers 1 and 3 of model.layers are identical"]),
    "a layer short": (
        lambda tensors: without(tensors, "model.layers.3."),
        ["config.json: num_hidden_layers is 4, model.layers has 3 layers"],
    ),
    "a hole": (
        lambda tensors: without(tensors, "model.layers.1."),
        ["model.layers has no layer 1, though a layer 3"],
    ),
    "an adapter has some layers": (
        lambda tensors: without(tensors, "model.layers.0", "model.layers.1", "model.layers.2"),
        [],
    ),
    "narrow": (
        lambda tensors: resized(tensors, "model.embed_tokens.weight", [12, 6]),
        ["config.json: hidden_size is 8, model.embed_tokens.weight has rows of 6"],
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(case: str, tmp_path: Path) -> None:
    damage, sentences = TENSORS[case]
    tensors = llama()
    damage(tensors)
    write_sharded(tmp_path, tensors)
    assert oddities(str(tmp_path)) == sentences


CONFIGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "layers": ({"num_hidden_layers": 18}, ["num_hidden_layers is 18, model.layers has 4 layers"]),
    "width": (
        {"hidden_size": 6},
        [
            "hidden_size is 6, model.embed_tokens.weight has rows of 8",
            "num_attention_heads is 2 of 3, model.layers.0.self_attn.q_proj.weight has 8 rows",
            "num_key_value_heads is 1 of 3, model.layers.0.self_attn.k_proj.weight has 4 rows",
        ],
    ),
    "words": ({"vocab_size": 13}, ["vocab_size is 13, model.embed_tokens.weight has 12 rows"]),
    "heads": (
        {"num_attention_heads": 4, "head_dim": 4},
        ["num_attention_heads is 4 of 4, model.layers.0.self_attn.q_proj.weight has 8 rows"],
    ),
    "inner": (
        {"intermediate_size": 17},
        ["intermediate_size is 17, model.layers.0.mlp.up_proj.weight has 16 rows"],
    ),
    "of a kind that is not known": ({"model_type": "new", "intermediate_size": 17}, []),
    "further tokens": ({"num_hidden_layers": 3, "num_nextn_predict_layers": 1}, []),
    "in a part of its own": (
        {"text_config": {"num_hidden_layers": 5}},
        ["num_hidden_layers is 5, model.layers has 4 layers"],
    ),
    "nonsense": (
        dict.fromkeys(CONFIG, "x") | {"text_config": 1, "num_hidden_layers": [1], "hidden_size": None},
        [],
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations(case: str, tmp_path: Path) -> None:
    changed, sentences = CONFIGS[case]
    write_sharded(tmp_path, llama(), {**CONFIG, **changed})
    assert oddities(str(tmp_path)) == [f"config.json: {sentence}" for sentence in sentences]


def reindex(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    document = json.loads((folder / INDEX).read_text())
    change(document["weight_map"])
    (folder / INDEX).write_text(json.dumps(document))


FILES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a shard is missing": (
        lambda folder: (folder / SECOND).unlink(),
        # That the layers in it are missing too is a consequence.
        [f"{SECOND} is missing"],
    ),
    "another shard is named": (
        lambda folder: reindex(folder, lambda index: index.update(dict.fromkeys(index, "other.safetensors"))),
        [f"other.safetensors, which {INDEX} names, is missing"],
    ),
    "a tensor no shard holds": (
        lambda folder: reindex(folder, lambda index: index.update({"x": FIRST, Q.format(0): SECOND})),
        [
            f"{Q.format(0)} is not in {SECOND}, where {INDEX} has it",
            f"x is not in {FIRST}, where {INDEX} has it",
        ],
    ),
    "an index without a map": (
        lambda folder: (folder / INDEX).write_text("[]"),
        [f"{INDEX} has no weight_map"],
    ),
    "a shard that ends early": (
        lambda folder: os.truncate(folder / SECOND, (folder / SECOND).stat().st_size - 10),
        [f"{SECOND} ends 10 B before its last tensor does"],
    ),
    "no weights": (
        lambda folder: (folder / FIRST).write_bytes(b"<!DOCTYPE html>"),
        [f"{FIRST}: it is no safetensors file: its first bytes give no length of a header"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files(case: str, tmp_path: Path) -> None:
    damage, sentences = FILES[case]
    write_sharded(tmp_path, llama())
    damage(tmp_path)
    assert oddities(str(tmp_path)) == sentences


GGUF: dict[str, tuple[dict[str, Any], list[str]]] = {
    "healthy": ({}, []),
    "layers": ({"llama.block_count": 5}, ["llama.block_count is 5, its tensors are of 4 layers"]),
    "width": (
        {"llama.embedding_length": 4},
        [
            "llama.embedding_length is 4, token_embd.weight has rows of 8",
            "llama.attention.head_count is 2 of 2, blk.0.attn_q.weight has 8 rows",
        ],
    ),
    "inner": (
        {"llama.feed_forward_length": 8},
        ["llama.feed_forward_length is 8, blk.0.ffn_up.weight has 16 rows"],
    ),
    "tokens": (
        {"tokenizer.ggml.tokens": ["a", "b"]},
        ["its tokenizer has 2 tokens, token_embd.weight has 12 rows"],
    ),
    "of a kind that is not known": ({"general.architecture": "new"}, []),
    "of a kind with two matrices in one": (
        {"general.architecture": "phi3", "phi3.block_count": 4, "phi3.feed_forward_length": 8},
        [],
    ),
}


@pytest.mark.parametrize("case", GGUF)
def test_keys_of_gguf(case: str, tmp_path: Path) -> None:
    changed, sentences = GGUF[case]
    (tmp_path / "m.gguf").write_bytes(gguf(llama(), {**KEYS, **changed}))
    assert oddities(str(tmp_path)) == [f"m.gguf: {sentence}" for sentence in sentences]


def test_what_the_manifest_proves_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = llama()
    blank(tensors, Q.format(0))
    write_sharded(tmp_path, tensors)
    fingerprint.record(str(tmp_path))
    expected = [f"{Q.format(0)} in {FIRST} is all zeros"]

    def manifest() -> None:
        entries = []
        for path in tmp_path.iterdir():
            stat = path.stat()
            if path.name[0] != "." and path.name != "manifest.json":
                entries.append(
                    {
                        "name": path.name,
                        "size": stat.st_size,
                        "mtime_ns": stat.st_mtime_ns,
                        "inode": stat.st_ino,
                    }
                )
        (tmp_path / "manifest.json").write_text(json.dumps({"files": entries}))

    taken: list[str] = []

    def counted(folder: str, on_bytes: Callable[[int], None]) -> dict[str, Any]:
        taken.append(folder)
        return fingerprint.take(folder, on_bytes)

    monkeypatch.setattr(odd, "take", counted)
    manifest()
    assert (oddities(str(tmp_path)), taken) == (expected, [])
    os.utime(tmp_path / FIRST, (1, 1))
    assert (oddities(str(tmp_path)), len(taken)) == (expected, 1)
    manifest()
    (tmp_path / "README.md").unlink()
    assert (oddities(str(tmp_path)), len(taken)) == (expected, 2)
