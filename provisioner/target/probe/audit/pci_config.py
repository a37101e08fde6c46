"""PCI configuration space from its bytes: 64 without rights, 256 of a conventional device, 4096 of an express
one.

Layouts: PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification 5.0, chapter 7 (the same
offsets stand in Linux' include/uapi/linux/pci_regs.h). Every offset in the lists is the device's own word:
none is believed before it was checked.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .readings import Malformed

HEADER = 64
CONVENTIONAL = 256
FULL = 4096
# Capabilities in the list that starts at 0x34, and in the one that starts at 0x100.
EXPRESS = 0x10
ACCESS_CONTROL, SRIOV, RESIZABLE = 0x0D, 0x10, 0x15
# Base address registers by header type: a device, a bridge, a CardBus bridge.
BARS = {0: 6, 1: 2, 2: 1}
# Link speeds in GT/s by code. PCI Express 6.0 is the last that is known here.
SPEEDS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}
# Endpoints and event collectors inside the root complex have no link.
NO_LINK = (0x9, 0xA)
ASPM = ("off", "l0s", "l1", "l0s l1")
# What sends peers' traffic up to the root: request and completion redirect, egress control. Linux takes
# the same three away (pci_disable_acs_redir() in drivers/pci/pci.c).
REDIRECTS = 0x04 | 0x08 | 0x20


class Beyond(Exception):  # noqa: N818 - a state of what was read, not a failure of the program
    """What was asked for lies past the bytes that could be read; the text says where."""


def header_type(config: bytes) -> int:
    """0 a device, 1 a bridge, 2 a CardBus bridge. Malformed, also for a device that answers nothing."""
    if len(config) < HEADER:
        raise Malformed("it has %d bytes, a header has %d" % (len(config), HEADER))
    if config[:HEADER] == b"\xff" * HEADER:
        raise Malformed("it reads all ones: the device does not answer")
    kind = config[0x0E] & 0x7F
    if kind not in BARS:
        raise Malformed("header type %d at 0x0e" % kind)
    return kind


def bars(config: bytes) -> List[Dict[str, Any]]:
    """The base address registers that show a type or an address: `index`, `bits` (0 for I/O ports),
    `prefetchable`, `address`.

    One of 32 bits without prefetching shows nothing until it has an address. Raises Malformed.
    """
    count = BARS[header_type(config)]
    found = []
    index = 0
    while index < count:
        value = _number(config, 0x10 + 4 * index, 4)
        bar = {"index": index, "bits": 32, "prefetchable": False, "address": value & ~0xF}
        if value & 1:
            bar.update(bits=0, address=value & ~3)
        elif value & 6 == 4:
            if index + 1 == count:
                raise Malformed("BAR %d has 64 bits and no second half" % index)
            upper = _number(config, 0x14 + 4 * index, 4)
            bar.update(bits=64, prefetchable=bool(value & 8), address=upper << 32 | value & ~0xF)
        else:
            bar["prefetchable"] = bool(value & 8)
        if value or bar["address"]:
            found.append(bar)
        index += 2 if bar["bits"] == 64 else 1
    return found


def capabilities(config: bytes) -> List[Tuple[int, int]]:
    """The list of capabilities: id and offset of each. Raises Malformed, or Beyond past what was read."""
    kind = header_type(config)
    if not _number(config, 0x06, 2) & 0x10:
        return []
    at = config[0x14 if kind == 2 else 0x34] & ~3
    found: List[Tuple[int, int]] = []
    seen = set()
    while at:
        if at < HEADER:
            raise Malformed("a capability is said to lie at 0x%02x, inside the header" % at)
        if at in seen:
            raise Malformed("the list of capabilities comes back to 0x%02x" % at)
        seen.add(at)
        found.append((_number(config, at, 1), at))
        at = _number(config, at + 1, 1) & ~3
    return found


def extended(config: bytes) -> List[Tuple[int, int]]:
    """The list of extended capabilities: id and offset of each. Raises Malformed, or Beyond."""
    header_type(config)
    found: List[Tuple[int, int]] = []
    seen = set()
    at = CONVENTIONAL
    while at:
        head = _number(config, at, 4)
        if head == 0xFFFFFFFF:
            raise Malformed("the extended capability at 0x%03x reads all ones" % at)
        if not head & 0xFFFF and not found and not head >> 20:
            return []  # an empty list is a first entry of zero
        seen.add(at)
        found.append((head & 0xFFFF, at))
        at = head >> 20 & ~3
        if 0 < at < CONVENTIONAL:
            raise Malformed("an extended capability is said to lie at 0x%03x, before 0x100" % at)
        if at in seen:
            raise Malformed("the list of extended capabilities comes back to 0x%03x" % at)
    return found


def resizable(config: bytes) -> List[Dict[str, Any]]:
    """BARs whose size can be chosen: `index`, `sizes` and `now` in bytes. Raises Malformed, or Beyond.

    Resizable BAR capability: 8 bytes a BAR, from +4 the sizes (bits 31:4, 1 MB the lowest; 256 TB and
    more stand in bits 31:16 of the control word), from +8 the control word: BAR (2:0), how many BARs (7:5, in
    the first), size as a power of two MB (13:8).
    """
    at = _find(extended(config), RESIZABLE)
    if at is None:
        return []
    count = _number(config, at + 8, 4) >> 5 & 7
    if not 1 <= count <= 6:
        raise Malformed("the Resizable BAR capability at 0x%03x counts %d BARs" % (at, count))
    found: List[Dict[str, Any]] = []
    for entry in range(at, at + 8 * count, 8):
        offered, control = _number(config, entry + 4, 4) >> 4, _number(config, entry + 8, 4)
        offered |= control >> 16 << 28
        index, now = control & 7, control >> 8 & 0x3F
        if index > 5 or any(index == other["index"] for other in found):
            raise Malformed("the Resizable BAR capability at 0x%03x names BAR %d" % (at, index))
        if now > 43:  # bit 43 is 8 EB, the largest that the capability can offer
            raise Malformed("the Resizable BAR capability at 0x%03x says 2**%d MB" % (at, now))
        found.append({"index": index, "sizes": powers(offered), "now": 1 << 20 + now})
    return found


def powers(bits: int) -> List[int]:
    """Sizes in bytes of a map of sizes: bit 0 is 1 MB, each further bit twice as much."""
    return [1 << 20 + bit for bit in range(bits.bit_length()) if bits >> bit & 1]


def express(config: bytes) -> Optional[int]:
    """Where the PCI Express capability lies; None in a conventional device. Raises Malformed, or Beyond."""
    return _find(capabilities(config), EXPRESS)


def link(config: bytes) -> Optional[Dict[str, Any]]:
    """The link as the device sees it: `speed`, `max_speed` (GT/s, None a code nobody knows), `width`,
    `max_width` (lanes, None a link that is down). None without a link. Raises Malformed, or Beyond.
    """
    at = _linked(config)
    if at is None:
        return None
    can, does = _number(config, at + 0x0C, 4), _number(config, at + 0x12, 2)
    return {
        "speed": SPEEDS.get(does & 0xF),
        "width": does >> 4 & 0x3F or None,
        "max_speed": SPEEDS.get(can & 0xF),
        "max_width": can >> 4 & 0x3F or None,
    }


def aspm(config: bytes) -> Optional[str]:
    """The states of Active State Power Management in force ("off", "l0s", "l1", "l0s l1"); None without a
    link. Raises Malformed, or Beyond.
    """
    at = _linked(config)
    if at is None:
        return None
    return ASPM[_number(config, at + 0x10, 2) & 3]


def redirects(config: bytes) -> Optional[bool]:
    """Whether a port's Access Control Services send peers' traffic up to the root; None where it has none.
    Raises Malformed, or Beyond.
    """
    at = _find(extended(config), ACCESS_CONTROL)
    return None if at is None else bool(_number(config, at + 6, 2) & REDIRECTS)


def virtual_functions(config: bytes) -> Optional[int]:
    """How many virtual functions (SR-IOV) the device may have; None where it has no such capability. Raises
    Malformed, or Beyond.
    """
    at = _find(extended(config), SRIOV)
    return None if at is None else _number(config, at + 0x0E, 2)


def _linked(config: bytes) -> Optional[int]:
    """Where the capability of a device with a link lies."""
    at = express(config)
    if at is None or _number(config, at + 2, 2) >> 4 & 0xF in NO_LINK:
        return None
    if at + 0x14 > CONVENTIONAL:
        raise Malformed("the PCI Express capability at 0x%02x reaches past 0x100" % at)
    return at


def _find(entries: List[Tuple[int, int]], wanted: int) -> Optional[int]:
    return next((at for kind, at in entries if kind == wanted), None)


def _number(config: bytes, at: int, size: int) -> int:
    if at + size <= len(config):
        return int.from_bytes(config[at : at + size], "little")
    if len(config) > CONVENTIONAL or (len(config) == CONVENTIONAL and at < CONVENTIONAL):
        # The whole space of this kind is here: a capability that reaches past its end lies.
        raise Malformed("a capability reaches past its end, to 0x%03x" % (at + size))
    raise Beyond("0x%03x lies past the %d bytes that can be read" % (at, len(config)))
