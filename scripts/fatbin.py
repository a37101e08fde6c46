"""The GPUs that a library has machine code for, from the headers of the fat binaries inside it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

# The layout is NVIDIA's and undocumented; checked against `cuobjdump --list-elf --list-ptx`, see the tests.
_MAGIC = b"\x50\xed\x55\xba"
_CONTAINER = struct.Struct("<4sHHQ")  # magic, version, size of this header, bytes of entries
_ENTRY = struct.Struct("<HHIQIIHHI")  # kind, ?, size of this header, bytes of payload, …, capability
_KINDS: dict[int, Literal["ptx", "elf"]] = {1: "ptx", 2: "elf"}
_BLOCK = 1 << 22


class Readable(Protocol):
    """What is read from the first byte to the last."""

    def read(self, count: int, /) -> bytes: ...


class Entry(NamedTuple):
    """Code for one capability ("8.9") in the fat binary of that number: ready, or to be compiled (ptx)."""

    binary: int
    kind: Literal["ptx", "elf"]
    capability: str


def entries(stream: Readable) -> Iterator[Entry]:
    """The entries of every fat binary in `stream`, which is read once, in blocks."""
    source = _Ahead(stream)
    binary = 0
    while source.find(_MAGIC):
        _, version, header, left = _CONTAINER.unpack(source.take(_CONTAINER.size))
        if version != 1 or header != _CONTAINER.size:
            continue
        while left >= _ENTRY.size and len(raw := source.take(_ENTRY.size)) == _ENTRY.size:
            kind, _, size, payload, *_, number = _ENTRY.unpack(raw)
            if kind not in _KINDS or not _ENTRY.size <= size <= size + payload <= left:
                break
            yield Entry(binary, _KINDS[kind], f"{number // 10}.{number % 10}")
            source.skip(size + payload - _ENTRY.size)
            left -= size + payload
        binary += 1


class _Ahead:
    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._held = bytearray()

    def find(self, magic: bytes) -> bool:
        """Moves to the next place where a container's header can be; False at the end."""
        while True:
            at = self._held.find(magic)
            if at >= 0:
                del self._held[:at]
                self._fill(_CONTAINER.size)
                return len(self._held) >= _CONTAINER.size
            del self._held[: max(0, len(self._held) - len(magic) + 1)]
            if not self._more():
                return False

    def take(self, count: int) -> bytes:
        self._fill(count)
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    def skip(self, count: int) -> None:
        while count > len(self._held):
            count -= len(self._held)
            self._held.clear()
            if not self._more():
                return
        del self._held[:count]

    def _fill(self, count: int) -> None:
        while len(self._held) < count and self._more():
            pass

    def _more(self) -> bool:
        block = self._stream.read(_BLOCK)
        self._held += block
        return bool(block)
