"""The firmware's own description of the machine (SMBIOS, also called DMI), from bytes.

Layout: DMTF's System Management BIOS Reference Specification (DSP0134), sections 5.2 and 6.1.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from .readings import Malformed

END = 127
# Handles have 16 bits: a table that has more structures than that is none.
MOST = 1 << 16


class Entry(NamedTuple):
    """The entry point. `total`: how many structures there are, None in SMBIOS 3, which does not tell."""

    version: Tuple[int, int]
    total: Optional[int]


class Structure(NamedTuple):
    """One structure: its formatted bytes with the header, the strings after it, and where it began."""

    kind: int
    handle: int
    data: bytes
    strings: Tuple[str, ...]
    offset: int

    def number(self, at: int, size: int) -> Optional[int]:
        """A little-endian number; None when the structure is too old, thus too short, to have it."""
        if at + size > len(self.data):
            return None
        return int.from_bytes(self.data[at : at + size], "little")

    def text(self, at: int) -> str:
        """The string whose number stands at `at`; "" for none, or for a number that no string has."""
        index = self.number(at, 1) or 0
        return self.strings[index - 1].strip() if 0 < index <= len(self.strings) else ""


def entry(content: bytes) -> Entry:
    """The entry point of SMBIOS 2 or 3; Malformed."""
    if content.startswith(b"_SM3_"):
        _checked(content, 6, 0x18)
        return Entry((content[7], content[8]), None)
    if content.startswith(b"_SM_"):
        _checked(content, 5, 0x1E)
        return Entry((content[6], content[7]), int.from_bytes(content[0x1C:0x1E], "little"))
    raise Malformed("the entry point begins with %r, not with _SM_ or _SM3_" % content[:5])


def _checked(content: bytes, length_at: int, least: int) -> None:
    """The bytes add up to 0, over the length that the entry point itself gives.

    SMBIOS 2.1 gave its length as 0x1E by mistake of the specification, and meant 0x1F.
    """
    length = content[length_at] if length_at < len(content) else 0
    if length < least or len(content) < least:
        raise Malformed("the entry point has %d bytes and says %d" % (len(content), length))
    if sum(content[: max(length, 0x1F) if least == 0x1E else length]) & 0xFF:
        raise Malformed("the entry point's checksum is wrong")


def structures(table: bytes, start: Optional[Entry]) -> List[Structure]:
    """All structures of a table; Malformed when it ends before its own end.

    A table of SMBIOS 2 ends after as many as its entry point counts (some firmware puts the end marker too
    early); without a count the marker ends it. A count that is too high is forgiven after the marker.
    """
    count = start.total if start else None
    found: List[Structure] = []
    at = 0
    marked = False
    while at < len(table) and (count is None or len(found) < count):
        if len(found) == MOST:
            raise Malformed("more than %d structures" % MOST)
        structure, at = _structure(table, at)
        found.append(structure)
        marked = marked or structure.kind == END
        if marked and count is None:
            break
    if not marked and (count is None or len(found) < count):
        raise Malformed("the table ends after %d structures, without its end marker" % len(found))
    return found


def _structure(table: bytes, at: int) -> "tuple[Structure, int]":
    """The structure at `at`, and where the next one begins."""
    header = table[at : at + 4]
    if len(header) < 4:
        raise Malformed("the structure at byte %d is cut off" % at)
    length = header[1]
    if length < 4:
        raise Malformed("the structure at byte %d says that it has %d bytes" % (at, length))
    # Strings follow, each with a zero byte; another one ends them. Without strings there are two.
    end = table.find(b"\0\0", at + length)
    if end < 0:
        raise Malformed("the structure at byte %d has no end" % at)
    text = table[at + length : end]
    strings = tuple(part.decode("utf-8", "backslashreplace") for part in text.split(b"\0")) if text else ()
    handle = int.from_bytes(header[2:4], "little")
    return Structure(header[0], handle, table[at : at + length], strings, at), end + 2


def of_kind(table: List[Structure], kind: int, least: int) -> List[Structure]:
    """The structures of a kind; Malformed for one shorter than `least` bytes."""
    found = [structure for structure in table if structure.kind == kind]
    for structure in found:
        if len(structure.data) < least:
            raise Malformed(
                "the structure at byte %d has %d bytes, type %d needs %d"
                % (structure.offset, len(structure.data), kind, least)
            )
    return found


def characteristic(table: List[Structure], bit: int) -> Optional[bool]:
    """A bit of type 0's second extension byte (0x13): 3 boots by UEFI, 4 is a virtual machine.

    None when the firmware is older than that byte.
    """
    for structure in of_kind(table, 0, 0x12):
        value = structure.number(0x13, 1)
        return None if value is None else bool(value >> bit & 1)
    return None
