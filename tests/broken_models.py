"""Models that are broken on purpose, one way at a time: what a smoke test must refuse.

GGUF files are changed in place through the `gguf` package; a folder of safetensors and JSON with the standard
library alone, so that it also works in an environment that has nothing else.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEED = 7


# --- GGUF -----------------------------------------------------------------------------------------------------


def gguf_reader(path: Path) -> Any:
    """The file, mapped writable."""
    from gguf import GGUFReader

    return GGUFReader(str(path), "r+")


def _tensors(reader: Any) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in reader.tensors}


def gguf_shuffle(path: Path, wanted: Callable[[str], bool]) -> None:
    """Inside each wanted tensor its rows of quantised blocks change places."""
    from numpy.random import default_rng

    reader, chance = gguf_reader(path), default_rng(SEED)
    for tensor in reader.tensors:
        if wanted(tensor.name):
            chance.shuffle(tensor.data)
    reader.data.flush()


def gguf_exchange(path: Path, one: str, other: str) -> None:
    """Two tensors of one shape and type have each other's content."""
    reader = gguf_reader(path)
    first, second = _tensors(reader)[one], _tensors(reader)[other]
    assert first.data.shape == second.data.shape
    assert first.tensor_type == second.tensor_type
    kept = first.data.copy()
    first.data[...] = second.data
    second.data[...] = kept
    reader.data.flush()


def gguf_fill(path: Path, wanted: Callable[[str], bool], byte: int = 0) -> None:
    """Each wanted tensor is this byte all over; 255 makes every float a NaN."""
    reader = gguf_reader(path)
    for tensor in reader.tensors:
        if wanted(tensor.name):
            tensor.data.view("uint8")[...] = byte
    reader.data.flush()


def gguf_scale(path: Path, name: str, factor: float) -> None:
    """A tensor of plain floats, a norm say, has another scale."""
    reader = gguf_reader(path)
    tensor = _tensors(reader)[name]
    assert tensor.data.dtype.kind == "f"
    tensor.data[...] = tensor.data * factor
    reader.data.flush()


def gguf_swap_layers(path: Path, one: int, other: int) -> None:
    """Two layers change places: the names of their tensors do, so their types may differ."""
    reader = gguf_reader(path)
    for tensor in reader.tensors:
        name = next(part for part in tensor.field.parts if part.dtype == "uint8")
        text = bytes(name).decode()
        for mine, theirs in ((one, other), (other, one)):
            if text.startswith(f"blk.{mine}."):
                renamed = text.replace(f"blk.{mine}.", f"blk.{theirs}.", 1).encode()
                assert len(renamed) == len(name), "the two numbers have the same count of digits"
                name[...] = list(renamed)
                break
    reader.data.flush()


def gguf_number(path: Path, key: str, value: float) -> None:
    """One number of its metadata is another one; `key` without the architecture's name."""
    reader = gguf_reader(path)
    field = next(field for name, field in reader.fields.items() if name.partition(".")[2] == key)
    field.parts[field.data[0]][0] = value
    reader.data.flush()


def gguf_tokenizer(path: Path) -> None:
    """Another vocabulary of the same size: tokens of equal length change places, the special ones stay."""
    reader = gguf_reader(path)
    field = reader.fields["tokenizer.ggml.tokens"]
    kinds = reader.fields["tokenizer.ggml.token_type"]
    by_length: dict[int, list[Any]] = {}
    for index, at in enumerate(field.data):
        if int(kinds.parts[kinds.data[index]][0]) == 1:
            by_length.setdefault(len(field.parts[at]), []).append(field.parts[at])
    for same in by_length.values():
        texts = [bytes(part) for part in same]
        random.Random(SEED).shuffle(texts)
        for part, text in zip(same, texts, strict=True):
            part[...] = list(text)
    reader.data.flush()


def truncate(path: Path, share: float = 0.6) -> None:
    """The file ends early."""
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))


# --- safetensors ----------------------------------------------------------------------------------------------


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
