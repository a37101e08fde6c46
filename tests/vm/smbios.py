"""SMBIOS structures as a firmware writes them (DMTF DSP0134), where QEMU's own say too much or too little."""

from __future__ import annotations

import struct
from collections.abc import Sequence

END = 0xFEFF  # no handle

# Characteristics, second extension byte.
TARGETED_CONTENT, UEFI = 1 << 2, 1 << 3


def structure(kind: int, handle: int, body: bytes, strings: Sequence[str] = ()) -> bytes:
    """A structure: header, formatted part, strings."""
    text = b"".join(word.encode("ascii") + b"\0" for word in strings) or b"\0"
    return struct.pack("<BBH", kind, len(body) + 4, handle) + body + text + b"\0"


def bios(*, uefi: bool) -> bytes:
    """BIOS Information (type 0) of a machine that is no virtual one: QEMU's and OVMF's own say that it is."""
    extension = TARGETED_CONTENT | (UEFI if uefi else 0)
    body = struct.pack(
        "<BBHBBQBBBBBB",
        *(1, 2),  # vendor, version
        0xE800,  # segment
        *(3, 0),  # date, size
        1 << 3,  # characteristics not supported
        *(0, extension),
        *(0xFF, 0xFF, 0xFF, 0xFF),  # releases of firmware and controller: not said
    )
    return structure(0, 0, body, ("American Megatrends Inc.", "3.4", "10/30/2020"))


def memory(populated: int, sockets: int, mib: int) -> tuple[bytes, ...]:
    """Physical Memory Array (type 16) and its Memory Devices (type 17): DDR4-3200 of `mib` MiB each in the
    first `populated` of `sockets`.
    """
    array = struct.pack("<BBBIHHQ", 3, 3, 3, sockets * mib << 10, END, sockets, 0)
    devices = (_device(number, mib if number < populated else 0) for number in range(sockets))
    return (structure(16, 0x1000, array), *devices)


def _device(number: int, mib: int) -> bytes:
    speed = 3200 if mib else 0
    body = struct.pack(
        "<HHHHHBBBBBHHBBBBBIH",
        *(0x1000, END),  # array, error information
        *((64, 64) if mib else (0, 0)),  # widths
        mib,
        *(9, 0),  # DIMM, no set
        *(1, 2),  # locator, bank
        *(26 if mib else 2, 0x80 if mib else 0),  # DDR4, synchronous
        speed,
        *(0, 0, 0, 0, 0),  # maker, serial number, asset tag, part number, ranks
        *(0, speed),
    )
    return structure(17, 0x1100 + number, body, (f"DIMM{number}", f"BANK {number}"))
