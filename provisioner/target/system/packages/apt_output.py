"""What apt-get says, as data: what it would do, and how far it has come. Pure."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from ...runtime.files import size_text
from .base import Change, Package

# Inst NAME[:ARCH] [OLD] (NEW SOURCE… [ARCH]) [what is broken meanwhile]
_INST = re.compile(r"Inst (?P<name>\S+)(?: \[(?P<old>[^\]\s]+)\])? \((?P<new>\S+).*?\[(?P<arch>[^\]\s]+)\]\)")
_REMV = re.compile(r"(?:Remv|Purg) (?P<name>\S+) \[(?P<old>[^\]\s]+)\]")
_URI = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) (?P<size>\d+)(?: \S*)?$")
_DISK = re.compile(r"After this operation, ([\d.,]+) (\w?B)(?: of additional)? .*?\b(used|freed)\.")
# apt writes decimal units (strutl.cc: SizeToStr).
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_PROGRESS = re.compile(r"(?P<kind>dlstatus|pmstatus|pmerror|pmconffile|media-change):(?P<rest>.*)")
_DKMS = (
    re.compile(r"Loading new (?P<name>\S+?)(?:[/-](?P<version>[\d.]\S*))? DKMS files"),
    re.compile(r"Building (?:initial )?modules?(?: (?P<name>\S+?)/(?P<version>\S+?))? for (?P<kernel>\d\S+)"),
)


def change(lines: Iterable[str], installed: Dict[str, Package]) -> Change:
    """Of `apt-get --simulate`. `installed` tells how a package is called here: by its name, or name:arch."""
    installs: Dict[str, str] = {}
    replaces: Dict[str, Tuple[str, str]] = {}
    removes: Dict[str, str] = {}
    for line in lines:
        inst, gone = _INST.match(line), _REMV.match(line)
        if inst:
            name = inst.group("name")
            if inst.group("old"):
                replaces[name] = (inst.group("old"), inst.group("new"))
                removes.pop(name, None)
            else:
                installs[name] = inst.group("new")
        elif gone and gone.group("name") in installed:
            # What is left of a package that went long ago may be purged too: nothing of it is installed.
            removes[gone.group("name")] = gone.group("old")
    return Change(installs, replaces, removes)


def sizes(lines: Iterable[str]) -> Tuple[int, int]:
    """Of `apt-get --print-uris`: bytes to be fetched yet, and more bytes on disk afterwards (about)."""
    download = disk = 0
    for line in lines:
        uri, told = _URI.match(line), _DISK.match(line)
        if uri and not uri.group("url").startswith("file:"):
            download += int(uri.group("size"))
        elif told:
            number = float(told.group(1).replace(",", "")) * _UNITS.get(told.group(2), 1)
            disk = int(number) * (1 if told.group(3) == "used" else -1)
    return download, disk


class Step(NamedTuple):
    """How far apt has come: `percent` of all that it fetches (`fetching`), or of all that it sets up."""

    fetching: bool
    percent: float
    text: str


def step(line: str) -> Optional[Step]:
    """A line of apt's status descriptor; None for what else apt says. apt's README.progress-reporting."""
    found = _PROGRESS.match(line)
    if not found:
        return None
    parts = found.group("rest").split(":")
    # PACKAGE[:ARCH]:PERCENT:TEXT, where the text may have colons too.
    for index in (1, 2):
        if len(parts) > index + 1 and re.match(r"\d+(\.\d+)?$", parts[index]):
            percent = min(100.0, float(parts[index]))
            return Step(found.group("kind") == "dlstatus", percent, ":".join(parts[index + 1 :]).strip())
    return Step(found.group("kind") == "dlstatus", 0.0, "")


def module_built(line: str) -> Optional[str]:
    """What DKMS begins to build, in words, when a line says so: that takes minutes."""
    for pattern in _DKMS:
        found = pattern.match(line)
        if found:
            name = found.group("name")
            kernel = found.groupdict().get("kernel")
            words = "building kernel modules" + (" for %s" % name if name else "")
            return words + (" (kernel %s)" % kernel.rstrip(".") if kernel else "")
    return None


def summary(what: Change) -> str:
    """A change in a few words, for a log."""
    counts = (("to install", what.installs), ("to replace", what.replaces), ("to remove", what.removes))
    said = ["%d %s" % (len(found), words) for words, found in counts if found]
    return ", ".join([*said, "%s to fetch" % size_text(what.download)])


def archive_name(name: str, package: Package) -> str:
    """As apt calls an archive in its cache: colons are escaped."""
    version = package.version.replace("%", "%25").replace(":", "%3a")
    return "%s_%s_%s.deb" % (name.partition(":")[0], version, package.arch)


def names_in(lines: Iterable[str]) -> List[str]:
    """All that may be names of packages in what apt says: between blanks, without an architecture."""
    found = (re.match(r"[a-z0-9][a-z0-9+.-]+", word) for line in lines for word in line.split())
    return sorted({match.group().rstrip(".-") for match in found if match})
