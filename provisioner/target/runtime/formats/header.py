"""What the header of a weights file says, whichever the format; and reading it without trusting it."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO, Dict, NamedTuple, Optional, Tuple

from ..files import size_text

# No tensor of any machine is larger; a product beyond it is a lie, and exact arithmetic on it costs time.
LARGEST = (1 << 63) - 1
# Reads of a remote file are requests: few, but the header of safetensors is short. So they begin small, and
# each is twice the one before: a tokenizer of megabytes comes in a few.
FIRST_WINDOW, WINDOW = 1 << 17, 1 << 20


class BadHeader(Exception):  # noqa: N818  (an answer about a file, which callers turn into a sentence)
    """A file whose header says what cannot be, or that ends inside its header; the text says what."""


class Tensor(NamedTuple):
    """One tensor: where its bytes are and how they are meant."""

    name: str
    dtype: str  # as the format spells it: BF16, F32, Q4_K, …
    shape: Tuple[int, ...]  # the outermost dimension first, as PyTorch has it, in both formats
    offset: int  # of the first byte, from the start of the file
    nbytes: int


class Array(NamedTuple):
    """A GGUF array that was walked over and not kept: `nbytes` encoded bytes at `offset` of the file."""

    type: str
    length: int  # entries
    offset: int
    nbytes: int


class Header(NamedTuple):
    """`format` is gguf or safetensors; `data` is where tensors begin, `size` the file's own, in bytes."""

    format: str
    tensors: Tuple[Tensor, ...]  # in the order of their bytes
    metadata: Dict[str, Any]  # plain scalars and texts; arrays of GGUF as `Array`
    data: int
    size: int

    @property
    def end(self) -> int:
        """Where the last tensor ends: so long must the file be, in bytes."""
        return max((tensor.offset + tensor.nbytes for tensor in self.tensors), default=self.data)

    @property
    def truncation(self) -> Optional[str]:
        """How much the file lacks, to follow its name: "ends 12 MB before …"; None when it is whole."""
        missing = self.end - self.size
        return f"ends {size_text(missing)} before its last tensor does" if missing > 0 else None


class Cursor:
    """Walks over a file from its start in large reads, never beyond `size` and never beyond `limit` bytes."""

    def __init__(self, file: BinaryIO, size: int, limit: int) -> None:
        self._file, self._size, self._limit = file, size, limit
        self._window, self._start, self._step = b"", 0, FIRST_WINDOW
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes between here and the end of the file."""
        return self._size - self.at

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes; BadHeader, naming `what`, where the file has not so many."""
        self.require(count, what)
        begin = self.at - self._start
        if not 0 <= begin <= begin + count <= len(self._window):
            self._file.seek(self.at)
            self._window, self._start = self._read(max(count, min(self._step, self.left))), self.at
            self._step = min(WINDOW, self._step * 2)
            begin = 0
            if len(self._window) < count:
                raise BadHeader(f"the file could not be read to the end of {what}")
        self.at += count
        return self._window[begin : begin + count]

    def skip(self, count: int, what: str) -> None:
        """Passes over `count` bytes that are there."""
        self.require(count, what)
        self.at += count

    def require(self, count: int, what: str) -> None:
        """BadHeader unless `count` more bytes can belong to the header; nothing is read or allocated."""
        if count > self.left:
            raise BadHeader(f"the file ends inside {what}")
        if self.at + count > self._limit:
            raise BadHeader(f"{what} goes beyond the {size_text(self._limit)} that a header may have")

    def unpack(self, layout: struct.Struct, what: str) -> Any:
        """The one value of a `struct` layout."""
        return layout.unpack(self.take(layout.size, what))[0]

    def _read(self, count: int) -> bytes:
        parts = []
        while count > 0:
            part = self._file.read(count)
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def size_of(file: BinaryIO, size: Optional[int]) -> int:
    """The file's size in bytes, asked of the file when it was not given."""
    return file.seek(0, io.SEEK_END) if size is None else size


def elements_of(shape: Tuple[int, ...], what: str) -> int:
    """The product of a shape; BadHeader where it is more than any file can hold."""
    count = 1
    for length in shape:
        count *= length
        if count > LARGEST:
            raise BadHeader(f"{what} has an impossible shape")
    return count


def shown(name: str) -> str:
    """A name from a file, for a message: short, and harmless to a terminal."""
    text = name if name.isprintable() else ascii(name)[1:-1]
    return text if len(text) <= 120 else text[:119] + "…"
