"""What the kernel's log says of BARs without an address, and of links slower than they could be."""

from __future__ import annotations

import errno
import os
import re
from typing import List, Optional, Tuple

from ..box import MISSING, Box, reason
from . import readings
from .readings import Reading

KMSG = "/dev/kmsg"
RECORDED = "/dmesg.txt"
# The longest record of /dev/kmsg: a shorter buffer is refused (Documentation/ABI/testing/dev-kmsg).
RECORD = 16384
# The log of a kernel that complains without end is read as far as this, and this many complaints are kept.
MOST_RECORDS = 200000
MOST = 24
LENGTH = 240

# Words of drivers/pci (setup-bus.c, setup-res.c, pci.c) since Linux 4.4, and of NVIDIA's module.
COMPLAINTS = (
    re.compile(
        r"\b(?:BAR \d|bridge window)\b.*"
        r"\b(?:can't claim|can't assign|no space|failed to assign|no compatible bridge window)\b"
    ),
    re.compile(r"\bcan't claim BAR \d|try booting with pci=realloc"),
    re.compile(r"\bNVRM: .*BAR\d+ is 0M\b|\bNVRM: This PCI I/O region .* is invalid"),
    re.compile(r"available PCIe bandwidth, limited by"),
)
# I/O ports and expansion ROMs run short on many healthy machines, and no GPU needs them.
HARMLESS = re.compile(r"\[io |\bROM \[|\bBAR 6\b")
_STAMP = re.compile(r"\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


def complaints(box: Box) -> Reading:
    """`Slots.complaints`: the lines, without their time, each once, and not more than MOST.

    The start of a log that is full is lost, and complaints about BARs stand there: finding none then tells
    nothing.
    """
    source = KMSG if box.live else RECORDED
    try:
        lines, whole = live(KMSG) if box.live else recorded(box)
    except OSError as failure:
        if not box.live and failure.errno in MISSING:
            return readings.hidden("no kernel log was recorded", source)
        return readings.hidden("the kernel keeps its log from us: " + reason(failure, source), source)
    found = select(lines)
    if not found and not whole:
        return readings.hidden("the log is full, and its beginning has been overwritten", source)
    return readings.read(found, source)


def select(lines: List[str]) -> List[str]:
    """The lines that complain of memory BARs and links."""
    found: List[str] = []
    for line in lines:
        if len(found) == MOST:
            break
        if HARMLESS.search(line) or not any(pattern.search(line) for pattern in COMPLAINTS):
            continue
        text = line.strip()[:LENGTH]
        if text not in found:
            found.append(text)
    return found


def recorded(box: Box) -> Tuple[List[str], bool]:
    """The lines of a recorded dmesg without their times, and whether the log starts where the kernel did."""
    lines = [_STAMP.sub("", line, count=1) for line in box.text(RECORDED).splitlines()]
    return lines, any(line.startswith("Linux version ") for line in lines)


def live(path: str) -> Tuple[List[str], bool]:
    """The same of this machine. Raises OSError (EPERM where only root may read the log)."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return records(fd)
    finally:
        os.close(fd)


def records(fd: int) -> Tuple[List[str], bool]:
    """Every record waiting in an open /dev/kmsg: "level,number,time,flags;text", then lines of its own."""
    lines: List[str] = []
    first: Optional[bytes] = None
    for _ in range(MOST_RECORDS):
        try:
            record = os.read(fd, RECORD)
        except BlockingIOError:
            break
        except OSError as failure:
            if failure.errno == errno.EPIPE:
                first = first or b""  # overwritten while we read: go on with the oldest that is left
                continue
            raise
        if not record:
            break
        head, _, text = record.partition(b";")
        if first is None:
            first = head.partition(b",")[2].partition(b",")[0]
        lines.append(text.split(b"\n", 1)[0].decode("utf-8", "backslashreplace"))
    return lines, first in (None, b"0")
