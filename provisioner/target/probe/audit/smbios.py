"""Memory modules and their error correction, from the firmware's SMBIOS table, or from what udev kept of it.

Only root may read the table; udev reads it at boot and leaves what it says of memory for everyone.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..box import Box
from . import readings
from .readings import Malformed, Reading
from .sight import Sight
from .smbios_table import Structure, of_kind

UDEV = "/run/udev/data/+dmi:id"
ARRAY, MODULE = 16, 17
SYSTEM_MEMORY = 3  # an array's use: not video memory, flash or cache
IN_KIB, EXTENDED_SIZE, EXTENDED_SPEED = 0x8000, 0x7FFF, 0xFFFF
# Type 17's byte 0x12, in the words of the specification (7.18.2).
KINDS = {
    0x12: "DDR",
    0x13: "DDR2",
    0x14: "DDR2 FB-DIMM",
    0x18: "DDR3",
    0x1A: "DDR4",
    0x1B: "LPDDR",
    0x1C: "LPDDR2",
    0x1D: "LPDDR3",
    0x1E: "LPDDR4",
    0x20: "HBM",
    0x21: "HBM2",
    0x22: "DDR5",
    0x23: "LPDDR5",
    0x24: "HBM3",
}
# Type 16's byte 6 (7.17.3), weakest first; 1 is "other" and 2 "unknown", which tell nothing.
CORRECTION = {3: "none", 4: "parity", 5: "single-bit", 6: "multi-bit", 7: "crc"}
# The same, as udev's dmi_memory_id writes it; it writes nothing for "none".
CORRECTION_OF_UDEV = {
    "Parity": "parity",
    "Single-bit ECC": "single-bit",
    "Multi-bit ECC": "multi-bit",
    "CRC": "crc",
}
UNTOLD = "the firmware does not say how memory is corrected"

Dimm = Dict[str, Any]


def dimms(box: Box, sight: Sight) -> Reading:
    """`Ram.dimms`: every socket of system memory, empty ones with 0 bytes."""
    return _either(box, sight, modules, modules_of_udev)


def ecc(box: Box, sight: Sight) -> Reading:
    """`Ram.ecc`: the weakest correction of all arrays of system memory."""
    found = _either(box, sight, correction, correction_of_udev)
    if found["state"] == "read" and found["value"] is None:
        return readings.absent(UNTOLD, found["source"])
    return found


def _either(
    box: Box,
    sight: Sight,
    of_table: Callable[[List[Structure]], Any],
    of_udev: Callable[[Dict[str, str]], Any],
) -> Reading:
    """From the table where this process may read it, otherwise from udev."""
    table = sight.smbios
    if table["state"] == "read":
        try:
            return readings.read(of_table(table["value"]), table["source"])
        except Malformed as wrong:
            return readings.error(str(wrong), table["source"])
    if table["state"] in ("not_applicable", "error"):
        return table
    found = readings.from_file(box, UDEV, lambda content: of_udev(properties(content)), "")
    return table if found["state"] == "absent" else found


def modules(table: List[Structure]) -> List[Dimm]:
    """The sockets of a table; Malformed."""
    others = {array.handle for array in of_kind(table, ARRAY, 0x0F) if array.number(0x05, 1) != SYSTEM_MEMORY}
    found = [
        (_module(structure), structure.text(0x11))
        for structure in of_kind(table, MODULE, 0x15)
        if structure.number(0x04, 2) not in others
    ]
    return _named(found)


def _module(structure: Structure) -> Dimm:
    locator = structure.text(0x10)
    return {
        "locator": locator,
        "bytes": _size(structure, locator),
        "kind": KINDS.get(structure.number(0x12, 1) or 0, ""),
        "rated": _speed(structure, 0x15, 0x54),
        "configured": _speed(structure, 0x20, 0x58),
        "total_width": _width(structure.number(0x08, 2)),
        "data_width": _width(structure.number(0x0A, 2)),
    }


def _size(structure: Structure, locator: str) -> int:
    """Bytes of a module: MiB, KiB when bit 15 is set, or MiB at 0x1C when 15 bits are too few."""
    code = structure.number(0x0C, 2) or 0
    if code == EXTENDED_SIZE:
        extended = structure.number(0x1C, 4)
        if extended is None:
            raise Malformed("the module in %r says that its size is at 0x1C, and ends before" % locator)
        return (extended & 0x7FFFFFFF) << 20
    if code == 0xFFFF:
        raise Malformed("the firmware does not know the size of the module in %r" % locator)
    return (code & ~IN_KIB) << 10 if code & IN_KIB else code << 20


def _speed(structure: Structure, at: int, extended_at: int) -> Optional[int]:
    """MT/s; None when not known, as virtual machines and empty sockets say."""
    code = structure.number(at, 2)
    if code == EXTENDED_SPEED:
        code = structure.number(extended_at, 4)
    return code or None


def _width(bits: Optional[int]) -> Optional[int]:
    return None if bits in (None, 0, 0xFFFF) else bits


def _named(found: List[Tuple[Dimm, str]]) -> List[Dimm]:
    """The modules; where two have the same locator, the bank's locator stands before it."""
    seen = [module["locator"] for module, _ in found]
    return [
        {**module, "locator": ("%s %s" % (bank, module["locator"])).strip()}
        if seen.count(module["locator"]) > 1
        else module
        for module, bank in found
    ]


def correction(table: List[Structure]) -> Optional[str]:
    """The weakest correction of the arrays of system memory; None when none of them tells."""
    codes = [
        array.data[0x06] for array in of_kind(table, ARRAY, 0x0F) if array.number(0x05, 1) == SYSTEM_MEMORY
    ]
    known = [code for code in codes if code in CORRECTION]
    return CORRECTION[min(known)] if known and len(known) == len(codes) else None


def properties(content: bytes) -> Dict[str, str]:
    """The properties ("E:NAME=value") that udev keeps of a device."""
    found = {}
    for line in content.decode("utf-8", "backslashreplace").split("\n"):
        if line.startswith("E:"):
            key, equals, value = line[2:].partition("=")
            if equals:
                found[key] = value
    if "MEMORY_ARRAY_NUM_DEVICES" not in found:
        raise Malformed("udev kept nothing of the memory modules")
    return found


def modules_of_udev(found: Dict[str, str]) -> List[Dimm]:
    """The sockets as udev's dmi_memory_id wrote them down; Malformed.

    It writes PRESENT=0 for an empty socket, and leaves out what the firmware does not know.
    """
    numbers = sorted(
        {int(key[0]) for key in (re.findall(r"^MEMORY_DEVICE_(\d{1,5})_", name) for name in found) if key}
    )
    modules = []
    for index in numbers:
        about = "MEMORY_DEVICE_%d_" % index
        locator = found.get(about + "LOCATOR", "")
        if found.get(about + "PRESENT") == "0":
            size: Optional[int] = 0
        else:
            size = _number(found, about + "SIZE")
            if size is None:
                raise Malformed("the firmware does not know the size of the module in %r" % locator)
        kind = found.get(about + "TYPE", "")
        module = {
            "locator": locator,
            "bytes": size,
            "kind": kind if kind in KINDS.values() else "",
            "rated": _number(found, about + "SPEED_MTS"),
            "configured": _number(found, about + "CONFIGURED_SPEED_MTS"),
            "total_width": _number(found, about + "TOTAL_WIDTH"),
            "data_width": _number(found, about + "DATA_WIDTH"),
        }
        modules.append((module, found.get(about + "BANK_LOCATOR", "")))
    return _named(modules)


def _number(found: Dict[str, str], key: str) -> Optional[int]:
    """A number of udev's; None when it is not there or 0 (not known); Malformed."""
    text = found.get(key)
    if text is None:
        return None
    if not re.match(r"[0-9]{1,20}$", text):
        raise Malformed("udev keeps %s=%.40r, which is no number" % (key, text))
    return int(text) or None


def correction_of_udev(found: Dict[str, str]) -> Optional[str]:
    """The correction as udev keeps it; None when the firmware does not tell."""
    told = found.get("MEMORY_ARRAY_EC_TYPE")
    return "none" if told is None else CORRECTION_OF_UDEV.get(told)
