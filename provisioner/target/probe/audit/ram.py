"""The section `ram`: modules and their kind as built in, swap, huge pages and nodes as set up."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List

from ..box import MISSING, Box, reason
from . import readings, smbios
from .readings import Malformed, Reading
from .sight import Sight

MEMINFO = "/proc/meminfo"
HUGE_PAGES = "/sys/kernel/mm/hugepages"
TRANSPARENT = "/sys/kernel/mm/transparent_hugepage/enabled"
NODES = "/sys/devices/system/node/online"
CONTROLLERS = "/sys/devices/system/edac/mc"
KIB = 1 << 10


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.ram`. A container's swap, huge pages and nodes are its host's, and count for it as well."""
    return {
        "dimms": smbios.dimms(box, sight),
        "ecc": smbios.ecc(box, sight),
        "edac": controllers(box, sight),
        "swap_bytes": readings.from_file(box, MEMINFO, entry("SwapTotal"), "/proc is not there"),
        "swap_free_bytes": readings.from_file(box, MEMINFO, entry("SwapFree"), "/proc is not there"),
        "huge_pages": huge_pages(box),
        "transparent_huge_pages": readings.from_file(
            box, TRANSPARENT, readings.chosen, "this kernel has no transparent huge pages"
        ),
        "numa_nodes": readings.from_file(box, NODES, count, "this kernel knows no NUMA nodes"),
    }


def entry(name: str) -> Callable[[bytes], int]:
    """A parser of /proc/meminfo: bytes of one of its lines. Raises Malformed."""

    def parse(content: bytes) -> int:
        match = re.search(rb"(?m)^%s:[ \t]*([0-9]{1,15}) kB$" % name.encode(), content)
        if not match:
            raise Malformed("it has no %s" % name)
        return int(match.group(1)) * KIB

    return parse


def huge_pages(box: Box) -> Reading:
    """`Ram.huge_pages`: bytes set aside, by size of page."""
    try:
        names = sorted(os.listdir(box.path(HUGE_PAGES)))
    except OSError as failure:
        if failure.errno in MISSING:
            return readings.absent("this kernel has no huge pages", HUGE_PAGES)
        return readings.hidden(reason(failure, HUGE_PAGES), HUGE_PAGES)
    found: Dict[str, int] = {}
    for name in names:
        match = re.match(r"hugepages-([0-9]{1,12})kB\Z", name)
        if not match:
            continue
        size = int(match.group(1)) * KIB
        pages = readings.from_file(box, "%s/%s/nr_hugepages" % (HUGE_PAGES, name), _pages, "it is gone")
        if pages["state"] != "read":
            return pages
        found[str(size)] = size * pages["value"]
    return readings.read(found, HUGE_PAGES)


def count(content: bytes) -> int:
    """How many a list of the kernel's ("0-1,4") names. Raises Malformed."""
    total = 0
    for part in readings.word(content).split(","):
        match = re.match(r"([0-9]{1,6})(?:-([0-9]{1,6}))?\Z", part)
        if not match:
            raise Malformed("it says %.60r" % part)
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first:
            raise Malformed("it says %.60r" % part)
        total += last - first + 1
    return total


def controllers(box: Box, sight: Sight) -> Reading:
    """`Ram.edac`: the memory controllers that the kernel watches for errors, by the name of their driver."""
    if sight.firmware is not None:
        return readings.not_applicable(sight.firmware)
    try:
        names = sorted(name for name in os.listdir(box.path(CONTROLLERS)) if re.match(r"mc[0-9]+\Z", name))
    except OSError as failure:
        if failure.errno in MISSING:
            return readings.absent("this kernel watches no memory controller", CONTROLLERS)
        return readings.hidden(reason(failure, CONTROLLERS), CONTROLLERS)
    found: List[str] = []
    for name in names:
        one = readings.from_file(box, "%s/%s/mc_name" % (CONTROLLERS, name), readings.word, "it is gone")
        if one["state"] != "read":
            return one
        found.append(one["value"])
    return readings.read(found, CONTROLLERS)


def _pages(content: bytes) -> int:
    text = readings.word(content)
    if not re.match(r"[0-9]{1,12}\Z", text) or int(text) >> 31:
        raise Malformed("it says %.60r" % text)
    return int(text)
