"""The version that a kernel module's file carries, read out of its ELF sections; nothing is executed."""

from __future__ import annotations

import os
import re
import struct
from typing import Callable, Tuple

from ..box import Box
from .readings import Malformed

# A module has some hundred sections; the one that says what it is has a few kilobytes.
SECTIONS = 20_000
MODINFO = 1 << 20
# What is unpacked of a compressed module before it is given up: 64 MiB take half a second.
UNPACKED = 64 << 20
_VERSION = re.compile(rb"(?:^|\0)version=([^\0\n]{1,64})\0")
# In a stream of everything that a module has, only a version that looks like NVIDIA's counts.
_IN_STREAM = re.compile(rb"\0version=(\d{3}\.\d{2,3}(?:\.\d{2})?)\0")

At = Callable[[int, int], bytes]


class Packed(Exception):  # noqa: N818 - a state of a file, not a failure
    """The file is compressed in a way that this Python does not read; the text says in which."""


def version(box: Box, path: str) -> str:
    """The `version` of a module's file. Raises OSError, Malformed, and Packed for what cannot be unpacked."""
    fd = os.open(box.path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:

        def at(offset: int, size: int) -> bytes:
            data = os.pread(fd, size, offset)
            if len(data) != size:
                raise Malformed("it ends at byte %d of %d" % (offset + len(data), offset + size))
            return data

        head = os.pread(fd, 6, 0)
        if head.startswith(b"\x28\xb5\x2f\xfd"):
            raise Packed("it is compressed with zstd")
        if head == b"\xfd7zXZ\0":
            return _unpacked(fd)
        return _named(modinfo(at))
    finally:
        os.close(fd)


def modinfo(at: At) -> bytes:
    """The section .modinfo of an ELF file. `at(offset, size)` gives bytes, or raises Malformed."""
    ident = at(0, 16)
    if ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        raise Malformed("it is no ELF file")
    order, wide = "<" if ident[5] == 1 else ">", ident[4] == 2
    # e_shoff, and e_shentsize, e_shnum, e_shstrndx at the end of the header.
    (table,) = struct.unpack(order + ("Q" if wide else "I"), at(0x28, 8) if wide else at(0x20, 4))
    size, count, names = struct.unpack(order + "HHH", at(0x3A if wide else 0x2E, 6))
    if size != (64 if wide else 40) or not 0 < count <= SECTIONS or names >= count:
        raise Malformed("its table of sections makes no sense")
    headers = at(table, size * count)

    def section(index: int) -> Tuple[int, int, int]:
        header = headers[index * size : (index + 1) * size]
        (name,) = struct.unpack_from(order + "I", header, 0)
        start, length = struct.unpack_from(order + ("QQ" if wide else "II"), header, 0x18 if wide else 0x10)
        return name, start, length

    _, start, length = section(names)
    if length > MODINFO:
        raise Malformed("its names of sections take %d bytes" % length)
    texts = at(start, length)
    for index in range(count):
        name, start, length = section(index)
        if texts[name : name + 9] == b".modinfo\0":
            if length > MODINFO:
                raise Malformed("its section .modinfo has %d bytes" % length)
            return at(start, length)
    raise Malformed("it has no section .modinfo")


def _named(content: bytes) -> str:
    match = _VERSION.search(content)
    if match is None:
        raise Malformed("it names no version")
    return match.group(1).decode("utf-8", "backslashreplace")


def _unpacked(fd: int) -> str:
    try:
        import lzma
    except ImportError as failure:
        raise Packed("it is compressed with xz, which this Python was built without") from failure
    machine, before, offset, seen = lzma.LZMADecompressor(memlimit=256 << 20), b"", 0, 0
    while not machine.eof and seen < UNPACKED:
        packed = os.pread(fd, 1 << 18, offset) if machine.needs_input else b""
        if machine.needs_input and not packed:
            raise Malformed("it ends in the middle")
        offset += len(packed)
        try:
            data = machine.decompress(packed, 1 << 20)
        except lzma.LZMAError as failure:
            raise Malformed("it cannot be unpacked: %s" % failure) from failure
        seen += len(data)
        match = _IN_STREAM.search(before + data)
        if match:
            return match.group(1).decode("ascii")
        before = data[-128:]
    if machine.eof:
        raise Malformed("it names no version")
    raise Packed("it is compressed, and larger than is unpacked here")
