"""The two formats that weights come in, read as far as their headers: no tensor's content is touched."""

from __future__ import annotations

from typing import BinaryIO, Optional

from . import gguf, safetensors
from .header import BadHeader, Header, Tensor

__all__ = ["BadHeader", "Header", "Tensor", "is_weights", "read_header"]


def is_weights(name: str) -> bool:
    """Whether a file of this name should have a header that `read_header` knows."""
    return name.endswith((".gguf", ".safetensors"))


def read_header(file: BinaryIO, size: Optional[int] = None) -> Header:
    """The header of a GGUF or safetensors file that can `seek` and `read`, local or by ranges.

    `size` is the whole file's, in bytes; None asks the file. Raises BadHeader.
    """
    file.seek(0)
    magic = file.read(len(gguf.MAGIC))
    return gguf.read(file, size) if magic == gguf.MAGIC else safetensors.read(file, size)
