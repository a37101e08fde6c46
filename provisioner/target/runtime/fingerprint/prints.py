"""Digests of everything in a model's folder: each tensor, each key, each small value of a configuration.

A digest here is the first 16 hex digits of SHA-256; of more than 64 MiB, that of the pieces' digests, so that
one large tensor occupies all threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .. import manifest
from ..files import read_json, write_json
from ..formats import BadHeader, Header, is_weights, read_header
from ..formats.header import Array

# Hidden, as all bookkeeping in a model's folder: neither a weights file nor watched for drift.
RECORD = ".fingerprint.json"
SCHEMA = 1
PIECE = 64 << 20
BLOCK = 1 << 20
THREADS = 8
# Configurations are a few kilobytes; beyond, a JSON file is data and has a digest only.
SMALL_FILE, SMALL_VALUE, MANY = 256 << 10, 200, 2000


def record(folder: str, on_bytes: Callable[[int], None] = lambda _: None) -> None:
    """Writes what `take` sees beside the manifest. `on_bytes` hears what was read, in this thread."""
    write_json(os.path.join(folder, RECORD), take(folder, on_bytes))


def recorded(folder: str) -> Optional[Dict[str, Any]]:
    """The record of a folder; None where none was written, or by another version of this."""
    value = read_json(os.path.join(folder, RECORD))
    return value if value is not None and value.get("schema") == SCHEMA else None


def take(folder: str, on_bytes: Callable[[int], None] = lambda _: None) -> Dict[str, Any]:
    """`{"schema", "files": {name: print}}`, read in parallel threads. Raises OSError.

    A print has `size`; of weights `tensors` {name: [dtype, shape, digest]}, `zero` (names of those that hold
    nothing but zeros), `metadata` {key: value or {"digest"}}, `rest` (a digest of all other bytes) and, where
    it ends early, `truncated`; of a file that is no such file `bad`, its reason. Other files have `digest`,
    and small JSON ones `values` {path: value}.
    """
    pieces: List[_Piece] = []
    prints: Dict[str, Dict[str, Any]] = {}
    opened: List[int] = []
    try:
        for name in names_in(folder):
            fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC)
            opened.append(fd)
            prints[name] = _print(fd, name, pieces)
        seen: Dict[Tuple[str, str], List[Tuple[bytes, bool]]] = {}
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            for piece, found in zip(pieces, pool.map(_digest, pieces)):
                seen.setdefault((piece.file, piece.what), []).append(found)
                on_bytes(piece.length)
    finally:
        for fd in opened:
            os.close(fd)
    for name, one in prints.items():
        for tensor, entry in one.get("tensors", {}).items():
            parts = seen.get((name, f"tensor {tensor}"), [])
            entry.append(_joined(parts))
            if parts and all(zero for _, zero in parts):
                one["zero"].append(tensor)
        for key, value in one.get("metadata", {}).items():
            if isinstance(value, dict) and "length" in value:
                value["digest"] = _joined(seen.get((name, f"key {key}"), []))
        one["rest" if "tensors" in one else "digest"] = _joined(seen.get((name, "rest"), []))
    return {"schema": SCHEMA, "files": prints}


def names_in(folder: str) -> List[str]:
    """The files of a model, relative, without what is hidden and without the manifest."""
    names = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names += [os.path.relpath(os.path.join(base, name), folder) for name in files if name[0] != "."]
    return sorted(name for name in names if name != manifest.NAME)


def is_tokenizer(name: str) -> bool:
    """Whether a file says how text becomes tokens."""
    base = os.path.basename(name)
    return (
        base.endswith(".tiktoken")
        or base.startswith(("tokenizer", "tokenization", "spiece", "sentencepiece"))
        or (base in ("vocab.json", "vocab.txt", "merges.txt", "special_tokens_map.json", "added_tokens.json"))
    )


class _Piece(NamedTuple):
    file: str
    what: str
    fd: int
    offset: int
    length: int


def _print(fd: int, name: str, pieces: List[_Piece]) -> Dict[str, Any]:
    """What the header alone says; what must be read goes into `pieces`."""
    size = os.fstat(fd).st_size
    if is_weights(name):
        try:
            with os.fdopen(os.dup(fd), "rb") as file:
                header = read_header(file, size)
        except BadHeader as error:
            pieces += _pieces(name, "rest", fd, 0, size)
            return {"size": size, "bad": str(error)}
        return _weights(fd, name, header, pieces)
    pieces += _pieces(name, "rest", fd, 0, size)
    found: Dict[str, Any] = {"size": size}
    if name.endswith(".json") and size <= SMALL_FILE and not is_tokenizer(name) and ".index." not in name:
        try:
            flat = dict(_flat(json.loads(os.pread(fd, size, 0)), ""))
            json.dumps(flat, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            return found  # no JSON, or texts that are none: its digest says whether it is what it was
        if len(flat) <= MANY:
            found["values"] = flat
    return found


def _weights(fd: int, name: str, header: Header, pieces: List[_Piece]) -> Dict[str, Any]:
    at, tensors = 0, {}
    for tensor in header.tensors:
        pieces += _pieces(name, "rest", fd, at, min(tensor.offset, header.size) - at)
        at = tensor.offset + tensor.nbytes
        tensors[tensor.name] = [tensor.dtype, list(tensor.shape)]
        if at <= header.size:
            pieces += _pieces(name, f"tensor {tensor.name}", fd, tensor.offset, tensor.nbytes)
    pieces += _pieces(name, "rest", fd, at, header.size - at)
    metadata: Dict[str, Any] = {}
    for key, value in header.metadata.items():
        if isinstance(value, Array):
            pieces += _pieces(name, f"key {key}", fd, value.offset, value.nbytes)
            metadata[key] = {"length": value.length}
        elif isinstance(value, str) and len(value) > SMALL_VALUE:
            metadata[key] = {"digest": _short(value.encode("utf-8", "surrogatepass"))}
        else:
            metadata[key] = value
    found: Dict[str, Any] = {"size": header.size, "tensors": tensors, "zero": [], "metadata": metadata}
    if header.truncation:
        found["truncated"] = header.truncation
    return found


def _pieces(file: str, what: str, fd: int, offset: int, length: int) -> List[_Piece]:
    return [
        _Piece(file, what, fd, at, min(PIECE, offset + length - at))
        for at in range(offset, offset + length, PIECE)
    ]  # fmt: skip


_local = threading.local()


def _digest(piece: _Piece) -> Tuple[bytes, bool]:
    """SHA-256 of a piece, and whether it is all zeros."""
    buffer: Optional[bytearray] = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = bytearray(BLOCK)
    view, digest, zero = memoryview(buffer), hashlib.sha256(), True
    at, end = piece.offset, piece.offset + piece.length
    while at < end:
        count = os.preadv(piece.fd, [view[: min(BLOCK, end - at)]], at)
        if not count:
            break  # it was cut while we read: the digest will differ
        digest.update(view[:count])
        # Nearly always decided by a look at the first byte.
        zero = zero and not bytes(view[:count]).strip(b"\0")
        at += count
    return digest.digest(), zero


def _joined(parts: List[Tuple[bytes, bool]]) -> str:
    if len(parts) == 1:
        return parts[0][0].hex()[:16]
    return _short(b"".join(digest for digest, _ in parts))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _flat(value: Any, path: str) -> Iterator[Tuple[str, Any]]:
    """Leaves of a JSON document by their path; short lists of plain values are leaves, long texts digests."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(inner, (dict, list)) for inner in value):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{i}]")
    else:
        text = json.dumps(value, ensure_ascii=False)
        yield (
            path,
            value if len(text) <= SMALL_VALUE else {"digest": _short(text.encode("utf-8", "surrogatepass"))},
        )
