"""/proc/iomem: which addresses the host bridges may hand out. Without root it is readable, and all zeros."""

from __future__ import annotations

import re
from typing import Dict, List, Optional

from ..box import MISSING, Box, reason
from . import readings
from .readings import Malformed, Reading

IOMEM = "/proc/iomem"
FOUR_GIB = 1 << 32
_LINE = re.compile(r"( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)\Z")


def windows(box: Box) -> Reading:
    """`Slots.windows`: the windows of host bridges that reach above 4 GiB."""
    try:
        content = box.read(IOMEM)
    except OSError as failure:
        if failure.errno in MISSING:
            return readings.absent("this kernel lists no addresses", IOMEM)
        return readings.hidden(reason(failure, IOMEM), IOMEM)
    try:
        found = bridges(content)
    except Malformed as wrong:
        return readings.error(str(wrong), IOMEM)
    if found is None:
        return readings.hidden("without root /proc/iomem shows nothing but zeros", IOMEM)
    if not found:
        return readings.absent("it names no window of a PCI bus", IOMEM)
    return readings.read([one for one in found if one["end"] >= FOUR_GIB], IOMEM)


def bridges(content: bytes) -> Optional[List[Dict[str, int]]]:
    """Every window of a host bridge, from `start` to `end`; None where all addresses are masked. Malformed.

    A window within another is a bridge's own below it, and left out.
    """
    found: List[Dict[str, int]] = []
    inside = -1  # how deep the window stands that the lines are in; -1 none
    masked = True
    lines = content.decode("utf-8", "backslashreplace").splitlines()
    for number, line in enumerate(lines, 1):
        match = _LINE.match(line)
        if not match:
            raise Malformed("line %d is %.60r" % (number, line))
        depth, start, end = len(match.group(1)), int(match.group(2), 16), int(match.group(3), 16)
        masked = masked and not start and not end
        if end < start:
            raise Malformed("line %d ends before it starts" % number)
        if depth <= inside:
            inside = -1
        if inside < 0 and match.group(4).startswith("PCI Bus"):
            inside = depth
            found.append({"start": start, "end": end})
    if not lines:
        raise Malformed("it is empty")
    return None if masked else found
