"""Packages, of the section software: held ones, those that were left half-way, the NVIDIA driver's."""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence

from .. import dpkg
from ..box import MISSING, Box, reason
from ..driver_names import is_driver
from . import readings
from .readings import Malformed, Reading

# The journal of a dpkg that was stopped: entries newer than those of the status file, in order of names.
UPDATES = "/var/lib/dpkg/updates"
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
RPM = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
WHOLE = b"installed"
_ODD = re.compile(rb"\nStatus:(?! install ok (?:not-)?installed\n)")
_NVIDIA = re.compile(rb"\nPackage:[^\n]*(?:nvidia|cuda|nvcuvid)")


class Package(NamedTuple):
    """An installed package, or what is left of one."""

    name: str
    version: str
    state: str
    held: bool
    broken: bool
    section: str
    maintainer: str


class Packages(NamedTuple):
    """What concerns the audit: `odd` are those not simply installed, `driver` those of the NVIDIA driver.

    `why` says why nothing is known, None when it is; `at_work` names the process that holds the database.
    """

    system: str
    odd: List[Package]
    driver: List[Package]
    source: str
    why: Optional[Reading] = None
    at_work: Optional[int] = None


def packages(box: Box) -> Packages:
    """The package database of this system, as far as files tell."""
    try:
        data = box.read(dpkg.STATUS, dpkg.LIMIT)
    except OSError as failure:
        if failure.errno not in MISSING:
            return _nothing(readings.hidden(reason(failure, dpkg.STATUS), dpkg.STATUS))
        return _without_dpkg(box)
    try:
        found = parse(data, [box.read(path, 1 << 20) for path in journal(box)])
    except FileNotFoundError:
        # A dpkg at work has put that entry into the status file since.
        return _nothing(readings.hidden("packages are being installed at this moment: look again", UPDATES))
    except OSError as failure:
        return _nothing(readings.hidden(reason(failure, UPDATES), UPDATES))
    except Malformed as wrong:
        return _nothing(readings.error(str(wrong), dpkg.STATUS))
    return found._replace(at_work=holder(box))


def parse(data: bytes, journal: List[bytes]) -> Packages:
    """Of a status file and the entries that a stopped dpkg had not put into it yet. Raises Malformed."""
    data = b"\n" + data
    if b"\nStatus:" not in data:
        raise Malformed("it has no entry")
    entries: Dict[str, Package] = {}
    for wanted in (_ODD, _NVIDIA):
        for stanza in dpkg.stanzas(data, wanted):
            _enter(entries, stanza)
    for piece in journal:
        for stanza in piece.split(b"\n\n"):
            if stanza.strip(b"\n #padding"):
                _enter(entries, stanza.lstrip(b"\n"))
    there = [one for one in entries.values() if one.state not in ("not-installed", "config-files")]
    return Packages(
        "dpkg",
        [one for one in there if one.held or one.broken],
        [one for one in there if is_driver(one.name)],
        dpkg.STATUS,
    )


def held(found: Packages) -> Reading:
    """`Software.held`: names."""
    return found.why or readings.read(sorted({one.name for one in found.odd if one.held}), found.source)


def half_configured(found: Packages) -> Reading:
    """`Software.half_configured`: "name (state)"; nothing is said of a moment when packages change."""
    if found.why:
        return found.why
    if found.at_work is not None:
        return readings.hidden(
            "packages are being installed at this moment (process %d): look again" % found.at_work, LOCKS[0]
        )
    names = sorted({"%s (%s)" % (one.name, one.state) for one in found.odd if one.broken})
    return readings.read(names, found.source)


def journal(box: Box) -> List[str]:
    """The files of dpkg's journal, in order. Raises OSError; a system without the folder has none."""
    try:
        names = os.listdir(box.path(UPDATES))
    except OSError as failure:
        if failure.errno in MISSING:
            return []
        raise
    return [UPDATES + "/" + name for name in sorted(names)[:1000] if name.isdigit()]


def holder(box: Box, locks: Sequence[str] = LOCKS) -> Optional[int]:
    """The process that holds one of dpkg's locks, 0 when it is not told which; None when nobody does."""
    numbers = set()
    for path in locks:
        try:
            seen = os.stat(box.path(path))
        except OSError:
            continue
        numbers.add("%02x:%02x:%d" % (os.major(seen.st_dev), os.minor(seen.st_dev), seen.st_ino))
    try:
        text = box.read("/proc/locks", 1 << 20).decode("ascii", "replace")
    except OSError:
        return None
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] != "->" and words[5] in numbers:
            return int(words[4]) if words[4].isdigit() else 0
    return None


def _enter(entries: Dict[str, Package], stanza: bytes) -> None:
    name, state = dpkg.field(stanza, b"Package"), dpkg.field(stanza, b"Status").split()
    if not name or len(state) != 3:
        raise Malformed("an entry has no package or no status")
    package = Package(
        dpkg.text(name),
        dpkg.text(dpkg.field(stanza, b"Version")),
        dpkg.text(state[2]),
        state[0] == b"hold",
        state[2] not in (WHOLE, *dpkg.GONE) or state[1] != b"ok",
        dpkg.text(dpkg.field(stanza, b"Section")),
        dpkg.text(dpkg.field(stanza, b"Maintainer")),
    )
    entries["%s:%s" % (package.name, dpkg.text(dpkg.field(stanza, b"Architecture")))] = package


def _nothing(why: Reading) -> Packages:
    return Packages("", [], [], "", why)


def _without_dpkg(box: Box) -> Packages:
    for path in RPM:
        if box.there(path):
            return _nothing(readings.hidden("rpm's database is read by rpm alone: rpm -qa '*nvidia*'", path))
    if not box.live:
        return _nothing(readings.hidden("the recorded tree has no package database", dpkg.STATUS))
    return _nothing(readings.hidden("no package database is known here", dpkg.STATUS))
