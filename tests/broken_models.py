"""Models that are broken on purpose, one way at a time: what a smoke test must refuse.

GGUF files, and folders of safetensors and JSON, changed in place with the standard library alone.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioner.target.runtime.formats import read_header

SEED = 7


# --- GGUF ---


class Gguf:
    """A GGUF file whose bytes are changed in place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.header = read_header(file)
        self.tensors = {tensor.name: tensor for tensor in self.header.tensors}

    def read(self, offset: int, count: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)

    def write(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def content(self, name: str) -> bytes:
        return self.read(self.tensors[name].offset, self.tensors[name].nbytes)

    def find(self, text: bytes, start: int = 0) -> int:
        """Where a text of the header is, its length before it."""
        at = self.read(0, self.header.data).find(struct.pack("<Q", len(text)) + text, start)
        assert at >= 0, text
        return at + 8


def gguf_shuffle(path: Path, wanted: Callable[[str], bool]) -> None:
    """Inside each wanted tensor its rows change places."""
    model = Gguf(path)
    for name, tensor in model.tensors.items():
        if wanted(name):
            data = model.content(name)
            width = tensor.nbytes // tensor.shape[0]
            rows = [data[at : at + width] for at in range(0, len(data), width)]
            random.Random(SEED).shuffle(rows)
            model.write(tensor.offset, b"".join(rows))


def gguf_exchange(path: Path, one: str, other: str) -> None:
    """Two tensors of one shape and type have each other's content."""
    model = Gguf(path)
    first, second = model.tensors[one], model.tensors[other]
    assert (first.shape, first.dtype) == (second.shape, second.dtype)
    kept = model.content(one)
    model.write(first.offset, model.content(other))
    model.write(second.offset, kept)


def gguf_fill(path: Path, wanted: Callable[[str], bool], byte: int = 0) -> None:
    """Each wanted tensor is this byte all over; 255 makes every float a NaN."""
    model = Gguf(path)
    for name, tensor in model.tensors.items():
        if wanted(name):
            model.write(tensor.offset, bytes([byte]) * tensor.nbytes)


def gguf_swap_layers(path: Path, one: int, other: int) -> None:
    """Two layers change places: the names of their tensors do, so their types may differ."""
    assert len(str(one)) == len(str(other))
    model = Gguf(path)
    places = {name: model.find(name.encode()) for name in model.tensors if name.startswith("blk.")}
    for mine, theirs in ((one, other), (other, one)):
        for name, at in places.items():
            if name.startswith(f"blk.{mine}."):
                model.write(at, name.replace(f"blk.{mine}.", f"blk.{theirs}.", 1).encode())


def gguf_number(path: Path, key: str, value: float) -> None:
    """One number of its metadata is another one; `key` without the architecture's name."""
    model = Gguf(path)
    name = next(name for name in model.header.metadata if name.partition(".")[2] == key).encode()
    at = model.find(name) + len(name)
    (kind,) = struct.unpack("<I", model.read(at, 4))
    # GGUF's own numbers of types: 4 is a 32-bit unsigned integer, 6 a 32-bit float.
    model.write(at + 4, struct.pack({4: "<I", 6: "<f"}[kind], value if kind == 6 else int(value)))


def gguf_tokenizer(path: Path) -> None:
    """Another vocabulary of the same size: tokens of equal length change places, the special ones stay."""
    model = Gguf(path)
    tokens = model.header.metadata["tokenizer.ggml.tokens"]
    kinds = model.header.metadata["tokenizer.ggml.token_type"]
    kind_of = struct.unpack(f"<{kinds.length}i", model.read(kinds.offset, kinds.nbytes))
    data = bytearray(model.read(tokens.offset, tokens.nbytes))
    by_length: dict[int, list[int]] = {}
    at = 0
    for index in range(tokens.length):
        (length,) = struct.unpack_from("<Q", data, at)
        if kind_of[index] == 1:  # an ordinary one
            by_length.setdefault(length, []).append(at + 8)
        at += 8 + length
    for length, places in by_length.items():
        texts = [bytes(data[place : place + length]) for place in places]
        random.Random(SEED).shuffle(texts)
        for place, text in zip(places, texts, strict=True):
            data[place : place + length] = text
    model.write(tokens.offset, bytes(data))


def truncate(path: Path, share: float = 0.6) -> None:
    """The file ends early."""
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))


# --- safetensors ---


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """({name: {dtype, shape, data_offsets}}, where the data begin)."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def _holding(folder: Path, name: str) -> tuple[Path, int, int]:
    """Where a tensor's bytes are: file, begin, end."""
    for path in sorted(folder.glob("*.safetensors")):
        header, start = _header(path)
        if name in header:
            begin, end = header[name]["data_offsets"]
            return path, start + begin, start + end
    raise LookupError(f"{folder}: no tensor {name}")


def _read(folder: Path, name: str) -> bytes:
    path, begin, end = _holding(folder, name)
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(end - begin)


def _write(folder: Path, name: str, data: bytes) -> None:
    path, begin, end = _holding(folder, name)
    assert len(data) == end - begin
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(data)


def tensor_names(folder: Path) -> list[str]:
    return [name for path in sorted(folder.glob("*.safetensors")) for name in _header(path)[0]]


def shuffle(folder: Path, wanted: Callable[[str], bool], width: int = 2) -> None:
    """Inside each wanted tensor the values, of `width` bytes, change places."""
    for name in filter(wanted, tensor_names(folder)):
        data = _read(folder, name)
        values = [data[at : at + width] for at in range(0, len(data), width)]
        random.Random(SEED).shuffle(values)
        _write(folder, name, b"".join(values))


def exchange(folder: Path, one: str, other: str) -> None:
    """Two tensors of one shape have each other's content."""
    first, second = _read(folder, one), _read(folder, other)
    _write(folder, one, second)
    _write(folder, other, first)


def fill(folder: Path, wanted: Callable[[str], bool], byte: int = 0) -> None:
    """Each wanted tensor is this byte all over; 255 makes every float a NaN."""
    for name in filter(wanted, tensor_names(folder)):
        _write(folder, name, bytes([byte]) * len(_read(folder, name)))


def swap_layers(folder: Path, one: int, other: int) -> None:
    """Two layers of one shape change places."""
    for name in tensor_names(folder):
        if f".layers.{one}." in name:
            exchange(folder, name, name.replace(f".layers.{one}.", f".layers.{other}."))


def number(folder: Path, key: str, value: Any, file: str = "config.json") -> None:
    """One number of the configuration is another one; `key` may be dotted."""
    path = folder / file
    config = json.loads(path.read_text())
    *way, last = key.split(".")
    inner = config
    for part in way:
        inner = inner[part]
    assert last in inner, f"{file} has no {key}"
    inner[last] = value
    path.write_text(json.dumps(config, indent=2))


def tokenizer(folder: Path) -> None:
    """Another vocabulary of the same size: tokens change their ids, the special ones stay."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocab: dict[str, int] = content["model"]["vocab"]
    special = {item["content"] for item in content["added_tokens"]}
    words = [word for word in vocab if word not in special]
    ids = [vocab[word] for word in words]
    random.Random(SEED).shuffle(ids)
    vocab.update(zip(words, ids, strict=True))
    path.write_text(json.dumps(content, ensure_ascii=False))


def copy(model: Path, into: Path) -> Path:
    """A copy of a model, a file or a folder, that may be broken."""
    into.parent.mkdir(parents=True, exist_ok=True)
    if model.is_dir():
        return shutil.copytree(model, into)
    return Path(shutil.copyfile(model, into))
