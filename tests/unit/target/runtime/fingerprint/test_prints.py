from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from provisioner.target.runtime import fingerprint
from provisioner.target.runtime.fingerprint import RECORD, prints, recorded
from provisioner.target.runtime.fingerprint.prints import is_tokenizer, names_in, take

from .models import CONFIG, gguf, llama, safetensors, write_sharded

NORM = "model.layers.0.input_layernorm.weight"


def short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def test_what_is_taken_of_a_model(tmp_path: Path) -> None:
    tensors = llama()
    write_sharded(tmp_path, tensors)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/x").write_text("x")
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/model.safetensors").write_bytes(
        safetensors({"a": ("U8", [2], b"\0\0"), "e": ("U8", [0], b"")})
    )
    heard: list[int] = []
    files = take(str(tmp_path), heard.append)["files"]
    assert list(files) == names_in(str(tmp_path)) == [
        "README.md", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "sub/model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    first = files["model-00001-of-00002.safetensors"]
    assert first["tensors"][NORM] == ["F32", [8], short(tensors[NORM][2])]
    assert first["metadata"] == {"format": "pt"}
    assert first["zero"] == [f"model.layers.{i}.self_attn.q_proj.bias" for i in (0, 1)]
    assert files["config.json"]["values"] == CONFIG
    assert files["tokenizer.json"] == {
        "size": (tmp_path / "tokenizer.json").stat().st_size,
        "digest": short((tmp_path / "tokenizer.json").read_bytes()),
    }
    sub = files["sub/model.safetensors"]
    assert (sub["tensors"], sub["zero"]) == (
        {"a": ["U8", [2], short(b"\0\0")], "e": ["U8", [0], short(b"")]},
        ["a"],
    )
    # Every byte of every file was read, and read once.
    assert sum(heard) == sum(one["size"] for one in files.values())


def test_the_keys_of_gguf(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf(llama()))
    metadata = take(str(tmp_path))["files"]["m.gguf"]["metadata"]
    encoded = b"".join(len(f"t{i}").to_bytes(8, "little") + f"t{i}".encode() for i in range(12))
    assert metadata["tokenizer.ggml.tokens"] == {"length": 12, "digest": short(encoded)}
    assert metadata["tokenizer.chat_template"] == {"digest": short(b"{{ x }}" * 99)}
    assert metadata["llama.rope.freq_base"] == 10000.5


def test_large_tensors_are_digested_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "PIECE", 100)
    monkeypatch.setattr(prints, "BLOCK", 7)
    content = bytes(range(250))
    (tmp_path / "m.safetensors").write_bytes(
        safetensors({"a": ("U8", [250], content), "z": ("U8", [150], bytes(150))})
    )
    one = take(str(tmp_path))["files"]["m.safetensors"]
    pieces = [hashlib.sha256(content[i : i + 100]).digest() for i in (0, 100, 200)]
    assert one["tensors"]["a"][2] == short(b"".join(pieces))
    assert one["zero"] == ["z"]


def test_the_record_survives_what_files_may_hold(tmp_path: Path) -> None:
    """Numbers that are none, texts that are none, deep nesting, long lists: nothing stops a publication."""
    (tmp_path / "config.json").write_text(
        '{"a": NaN, "b": ' + json.dumps("x" * 999) + ', "c": [[1], {"d": []}]}'
    )
    (tmp_path / "generation_config.json").write_text('{"a": "\\ud800"}')
    (tmp_path / "deep.json").write_text("[" * 60_000)
    (tmp_path / "many.json").write_text(json.dumps({str(i): i for i in range(3000)}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    fingerprint.record(str(tmp_path))
    record = recorded(str(tmp_path))
    assert record is not None
    values = record["files"]["config.json"]["values"]
    assert values.pop("a") != 0
    assert values == {"b": {"digest": short(json.dumps("x" * 999).encode())}, "c[0]": [1], "c[1].d": []}
    assert [name for name, one in record["files"].items() if "values" in one] == ["config.json"]
    assert record["files"]["model.safetensors"]["bad"] == "the file ends inside the length of its header"
    assert fingerprint.what_differs(str(tmp_path)) == []
    assert (tmp_path / RECORD).name.startswith(".")


def test_what_belongs_to_a_tokenizer() -> None:
    names = [
        "tokenizer.json", "sub/tokenizer.model", "vocab.txt", "merges.txt", "qwen.tiktoken", "spiece.model",
        "config.json", "model.safetensors", "generation_config.json", "special_tokens_map.json",
    ]  # fmt: skip
    assert [name for name in names if not is_tokenizer(name)] == [
        "config.json", "model.safetensors", "generation_config.json",
    ]  # fmt: skip
