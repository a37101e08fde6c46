"""SMBIOS tables as firmware lays them out, made from a few numbers."""

from __future__ import annotations

import struct


def structure(kind: int, body: bytes, *strings: str, handle: int = 0) -> bytes:
    """A structure: its header, its body, its strings."""
    text = b"".join(string.encode() + b"\0" for string in strings) or b"\0"
    return struct.pack("<BBH", kind, 4 + len(body), handle) + body + text + b"\0"


def bios(second: int | None = 0) -> bytes:
    """Type 0; `second` is the extension byte at 0x13, None for firmware that has none."""
    body = bytes([1, 2, 0, 0xE0, 3, 0]) + bytes(8) + (b"" if second is None else bytes([0, second]))
    return structure(0, body, "A firmware", "1.0", "01/01/2024")


def array(correction: int = 3, use: int = 3, handle: int = 0x1000) -> bytes:
    """Type 16: an array of memory sockets."""
    return structure(16, struct.pack("<BBBIHH", 3, use, correction, 1 << 25, 0xFFFE, 4), handle=handle)


def module(
    size: int = 16384,
    *strings: str,
    kind: int = 0x1A,
    rated: int = 3200,
    configured: int = 2933,
    widths: tuple[int, int] = (72, 64),
    extended: tuple[int, int, int] = (0, 0, 0),
    of: int = 0x1000,
    length: int = 0x5C,
) -> bytes:
    """Type 17. `extended`: what stands at 0x1C (size), 0x54 and 0x58 (speeds)."""
    head = struct.pack("<HHHHHBBBBBHH", of, 0xFFFE, *widths, size, 9, 0, 1, 2, kind, 0x80, rated)
    rest = struct.pack("<BBBBBIHHHH", 3, 4, 5, 6, 2, extended[0], configured, 1200, 1200, 1200)
    tail = bytes(0x54 - 0x28) + struct.pack("<II", *extended[1:])
    return structure(17, (head + rest + tail)[: length - 4], *(strings or ("DIMM_A1", "BANK 0")))


END = structure(127, b"")


def summed(content: bytes, at: int) -> bytes:
    """An entry point with the checksum that makes its bytes add up to 0."""
    bare = content[:at] + b"\0" + content[at + 1 :]
    return bare[:at] + bytes([-sum(bare) & 0xFF]) + bare[at + 1 :]


def entry_2(count: int, length: int = 0x1F) -> bytes:
    """The entry point of SMBIOS 2.8."""
    head = b"_SM_\0" + bytes([length, 2, 8]) + bytes(8) + b"_DMI_\0" + bytes(6)
    return summed(head + struct.pack("<HB", count, 0x28), 4)


ENTRY_3 = summed(b"_SM3_\0" + bytes([0x18, 3, 3, 0, 1, 0]) + bytes(12), 5)
