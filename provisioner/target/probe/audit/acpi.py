"""The ACPI tables that describe an IOMMU: DMAR of Intel, IVRS of AMD, from their bytes.

Layouts: ACPI Specification 6.5, 5.2.6 (the header that every table begins with); Intel Virtualization
Technology for Directed I/O, 8.1; AMD I/O Virtualization Technology (IOMMU) Specification, 5.2.1.
"""

from __future__ import annotations

from typing import Dict

from .readings import Malformed

HEADER = 36
# Where the flags stand, and which they are.
OFFSETS = {"DMAR": 0x25, "IVRS": 0x24}
INTERRUPTS, PLATFORM_OPT_IN = 1, 4
REMAPPED_BEFORE = 2


def table(content: bytes, signature: str) -> bytes:
    """The bytes of a table of this name, checked: name, length, and sum of zero. Raises Malformed."""
    if len(content) < HEADER:
        raise Malformed("it has %d bytes, its header has %d" % (len(content), HEADER))
    if content[:4] != signature.encode():
        raise Malformed("it begins with %r, not %s" % (content[:4], signature))
    length = int.from_bytes(content[4:8], "little")
    if not HEADER <= length <= len(content):
        raise Malformed("it says it has %d bytes, and has %d" % (length, len(content)))
    if sum(content[:length]) & 0xFF:
        raise Malformed("its checksum is wrong")
    return content[:length]


def dmar(content: bytes) -> Dict[str, bool]:
    """What DMAR says: `interrupt_remapping` (the chipset can), `opt_in` (the firmware asks for protection
    from devices). Raises Malformed.
    """
    flags = _byte(table(content, "DMAR"), OFFSETS["DMAR"])
    return {"interrupt_remapping": bool(flags & INTERRUPTS), "opt_in": bool(flags & PLATFORM_OPT_IN)}


def ivrs(content: bytes) -> Dict[str, bool]:
    """What IVRS says: `opt_in` (DMA is remapped before the system starts). Interrupts are
    always remapped by an AMD IOMMU. Raises Malformed.
    """
    flags = _byte(table(content, "IVRS"), OFFSETS["IVRS"])
    return {"interrupt_remapping": True, "opt_in": bool(flags & REMAPPED_BEFORE)}


def _byte(content: bytes, at: int) -> int:
    if at >= len(content):
        raise Malformed("it ends before byte 0x%02x" % at)
    return content[at]
