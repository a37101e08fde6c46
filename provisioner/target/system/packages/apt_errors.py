"""What apt and dpkg say when they refuse, as one line for a person and the next step. Pure."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence

from ... import clock
from ...errors import TargetError
from ...runtime.process import without_login
from .apt_output import names_in
from .base import NotFetched, Package, SetupFailed, UnknownPackage

_LOCATE = re.compile(r"E: Unable to locate package (\S+)")
_BY_PATTERN = re.compile(r"E: Couldn't find any package by (?:glob|regex) '(\S+)'")
_VERSION = re.compile(r"E: Version '([^']+)' for '([^']+)' was not found")
_CANDIDATE = re.compile(r"E: Package '?(\S+?)'? has no installation candidate")
_VIRTUAL = re.compile(r"Package (\S+) is a virtual package provided by:")
_LOCKED = re.compile(
    r"E: (?:Could not get lock|Unable to acquire|Could not open lock file) .*?(/\S+?)?[.,;]?(?: It is held by"
    r" process (\d+) \(([^)]*)\))?$"
)
_FETCH = re.compile(r"(?:E|W|Err): Failed to fetch (\S+?:\S+)\s*(.*)")
_UNSIGNED = re.compile(
    r"(?:E|W): (?:The repository|GPG error:) '?(.+?)'?(?: Release'?)?(?: is (not signed)|: (.*))"
)
_FUTURE = re.compile(r"(?:E|W): Release file for (\S+) is not valid yet(?: \((.*?)\))?")
_SPACE_ARCHIVES = re.compile(r"E: You don't have enough free space in (\S+?)\.?$")
_PATH = re.compile(r"'?(/[^\s':;,]+)")
_PROCESSING = re.compile(r"dpkg: error processing (?:package|archive) (\S+) \((--?\S+)\):")


def refusal(lines: Sequence[str], doing: str, installed: Dict[str, Package]) -> TargetError:
    """Why apt did not begin, or what it refuses to do; `doing` such as "install nvidia-driver"."""
    return (
        _clock(lines) or _unknown(lines) or _locked(lines) or _room(lines) or _fetch(lines)
        or _held(lines, doing, installed) or _conflict(lines, doing) or _last(lines, doing)
    )  # fmt: skip


def failure(lines: Sequence[str], doing: str) -> TargetError:
    """Why it went wrong while packages were set up, in the decisive line of dpkg."""
    failed = [match for match in map(_PROCESSING.match, lines) if match]
    full = _room(lines)
    if full is not None:
        return SetupFailed(full.message, full.hint, [match.group(1) for match in failed])
    if not failed:
        said = _locked(lines) or _fetch(lines) or _last(lines, doing)
        return said if isinstance(said, NotFetched) else SetupFailed(said.message, said.hint)
    # What fails first fails by itself; the others depend on it.
    match = failed[0]
    index = list(lines).index(match.string)
    why = next((line.strip() for line in lines[index + 1 :] if line.strip()), "")
    return SetupFailed(
        "%s could not be set up: %s" % (match.group(1), why or match.string),
        "the lines before say why",
        [one.group(1) for one in failed],
    )


def of_lists(lines: Sequence[str]) -> List[str]:
    """What `apt-get update` could not read, as "address: why"."""
    found = []
    for line in lines:
        fetch, unsigned, future = _FETCH.match(line), _UNSIGNED.match(line), _FUTURE.match(line)
        if future:
            found.append("%s: %s" % (future.group(1), _not_yet(future.group(2))))
        elif fetch:
            found.append("%s: %s" % (fetch.group(1), fetch.group(2).strip() or "it did not come"))
        elif unsigned:
            why = unsigned.group(3) or "it is not signed by a key that this machine trusts"
            found.append("%s: %s" % (unsigned.group(1), why.strip()))
    return [without_login(one) for one in dict.fromkeys(found)]


def _not_yet(how_long: Optional[str]) -> str:
    return "not valid yet%s: %s" % (" (%s)" % how_long if how_long else "", clock.MEANS)


def _clock(lines: Sequence[str]) -> Optional[TargetError]:
    """Only where apt stopped for nothing else: a list of the future leaves the old one in its place."""
    for line in lines:
        future = _FUTURE.match(line)
        if future:
            said = "%s: %s" % (future.group(1), _not_yet(future.group(2)))
            return NotFetched(without_login(said), clock.HINT)
        if line.startswith(("E: ", "W: ")) and clock.behind(line):
            return NotFetched(without_login("%s: %s" % (clock.MEANS, line[3:].strip())), clock.HINT)
    return None


def _unknown(lines: Sequence[str]) -> Optional[TargetError]:
    for line in lines:
        version = _VERSION.match(line)
        if version:
            return UnknownPackage(
                "none of this machine's package sources has %s %s" % (version.group(2), version.group(1)),
                "apt-cache madison %s shows the versions that are" % version.group(2),
            )
        name = _LOCATE.match(line) or _BY_PATTERN.match(line) or _CANDIDATE.match(line)
        if name:
            called = name.group(1).rstrip(".")
            if any(_VIRTUAL.match(other) for other in lines):
                return UnknownPackage(
                    "%s is no package but a name that several provide" % called,
                    "name one of those that apt-cache showpkg %s lists" % called,
                )
            return UnknownPackage(
                "none of this machine's package sources has %s" % called,
                "correct the name, or add the source (or the component) that has it",
                called,
            )
    return None


def _locked(lines: Sequence[str]) -> Optional[TargetError]:
    for line in lines:
        match = _LOCKED.match(line)
        if match and ("lock" in line):
            who = (
                "process %s (%s)" % (match.group(2), match.group(3)) if match.group(2) else "another process"
            )
            return TargetError("packages are locked by %s" % who, "let it finish or stop it, and run again")
    return None


def _room(lines: Sequence[str]) -> Optional[TargetError]:
    for line in lines:
        archives = _SPACE_ARCHIVES.match(line)
        if archives:
            return TargetError(
                "%s has not the room for what is to be fetched" % archives.group(1),
                "free some space there (apt-get clean), and run again",
            )
        if "No space left on device" in line:
            path = _PATH.search(line)
            return TargetError(
                "no space is left%s" % (" for %s" % path.group(1) if path else ": " + line.strip()),
                "free some space on that file system (df -h), and run again: it goes on from there",
            )
    return None


def _fetch(lines: Sequence[str]) -> Optional[TargetError]:
    for line in lines:
        match = _FETCH.match(line)
        if match:
            why = match.group(2).strip() or "it did not come"
            return NotFetched(
                without_login("%s did not come: %s" % (match.group(1), why)),
                "look whether that mirror is up to date and within reach, or name another in apt's sources",
            )
    return None


def _held(lines: Sequence[str], doing: str, installed: Dict[str, Package]) -> Optional[TargetError]:
    """Only where apt itself names holds: any other refusal may well mention a held package."""
    listed = _listed(lines, "The following held packages will be changed:")
    unmet = any(
        text in line for line in lines for text in ("held broken packages", "Unable to satisfy depend")
    )
    named = listed or (names_in(_story(lines)) if unmet else [])
    names = [name for name in named if name in installed and installed[name].held]
    if not names:
        return None
    return TargetError(
        "to %s, %s would have to change, and %s held" % (doing, ", ".join(names), _is(names)),
        "apt-mark unhold %s, if nothing speaks against it, and run again" % " ".join(names),
    )


def _conflict(lines: Sequence[str], doing: str) -> Optional[TargetError]:
    story = _story(lines)
    if not story:
        return None
    return TargetError(
        "apt cannot %s: %s" % (doing, "; ".join(line.strip() for line in story[:3])),
        "look which of its sources do not fit together (apt-cache policy)",
    )


def _last(lines: Sequence[str], doing: str) -> TargetError:
    told = [line for line in lines if line.startswith("E: ")]
    said = (
        told[0][3:] if told else next((line for line in reversed(lines) if line.strip()), "it said nothing")
    )
    return TargetError("apt cannot %s: %s" % (doing, without_login(said.strip())), None)


def _story(lines: Sequence[str]) -> List[str]:
    """The lines in which apt says what does not go together: old and new solver."""
    found: List[str] = []
    inside = False
    for line in lines:
        if line.startswith(
            ("The following packages have unmet dependencies:", "E: Unable to satisfy depend")
        ):
            inside = True
        elif inside and line[:1] == " ":
            found.append(line)
        elif inside:
            inside = False
    return found


def _listed(lines: Sequence[str], head: str) -> List[str]:
    found: List[str] = []
    inside = False
    for line in lines:
        if line.startswith(head):
            inside = True
        elif inside and line[:1] == " ":
            found += line.split()
        else:
            inside = False
    return found


def _is(names: Sequence[str]) -> str:
    return "it is" if len(names) == 1 else "they are"
