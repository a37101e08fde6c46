"""Synthetic PCI configuration spaces and ACPI tables, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping


def space(
    size: int = 4096,
    *,
    kind: int = 0,
    bars: Mapping[int, int] | None = None,
    first: int = 0,
    put: Mapping[int, bytes] | None = None,
) -> bytes:
    """A space of `size` bytes: `bars` by index as 32-bit words, `first` where the capabilities begin, `put`
    the bytes at an offset.
    """
    content = bytearray(4096)
    content[0:4] = bytes.fromhex("de108426")
    content[0x0E] = kind
    content[0x0A:0x0C] = bytes((0x00, 0x03))
    if first:
        content[0x06], content[0x14 if kind == 2 else 0x34] = 0x10, first
    for index, word in (bars or {}).items():
        content[0x10 + 4 * index : 0x14 + 4 * index] = word.to_bytes(4, "little")
    for at, piece in (put or {}).items():
        content[at : at + len(piece)] = piece
    return bytes(content[:size])


def capability(kind: int, then: int, *rest: int) -> bytes:
    """One of the first list: id, where the next one is, and the rest of its bytes."""
    return bytes((kind, then, *rest))


def extended(kind: int, then: int, *words: int) -> bytes:
    """One of the second list: id, version 1, where the next one is, and the words that follow."""
    return b"".join(word.to_bytes(4, "little") for word in (kind | 1 << 16 | then << 20, *words))


def express(
    then: int = 0,
    *,
    port: int = 0,
    can: tuple[int, int] = (4, 16),
    does: tuple[int, int] = (4, 16),
    aspm: int = 0,
) -> bytes:
    """A PCI Express capability: speed code and width it can do, and does; `port` its kind."""
    content = bytearray(0x14)
    content[0:3] = bytes((0x10, then, 2 | port << 4))
    content[0x0C:0x10] = (can[0] | can[1] << 4).to_bytes(4, "little")
    content[0x10] = aspm
    content[0x12:0x14] = (does[0] | does[1] << 4).to_bytes(2, "little")
    return bytes(content)


def rebar(*bars: tuple[int, int, int], then: int = 0, count: int | None = None) -> bytes:
    """A Resizable BAR capability: index, map of sizes (bit 0 is 1 MB) and power of two MB now, a BAR."""
    words: list[int] = []
    for index, sizes, now in bars:
        low, high = sizes & (1 << 28) - 1, sizes >> 28
        words += [low << 4, index | (len(bars) if count is None else count) << 5 | now << 8 | high << 16]
    return extended(0x15, then, *words)


def table(signature: str, flags: Mapping[int, int], size: int = 48) -> bytes:
    """An ACPI table with these bytes set, and a checksum that is right."""
    content = bytearray(size)
    content[0:4] = signature.encode()
    content[4:8] = size.to_bytes(4, "little")
    for at, value in flags.items():
        content[at] = value
    content[9] = -sum(content) & 0xFF
    return bytes(content)
