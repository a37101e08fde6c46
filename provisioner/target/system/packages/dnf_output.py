"""What dnf and rpm say, read into what a `Manager` answers. Pure; dnf 4 as EL 8 to 10 have it."""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Set

from ...errors import TargetError
from ...runtime.process import without_login
from .base import Change, NotFetched, Package, SetupFailed, UnknownPackage

# One line a package: what `rpm --query --all` is asked for.
QUERY = r"%{NAME}\t%{ARCH}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\n"
_ARCHES = "x86_64|aarch64|noarch|i686|ppc64le|s390x"
# A table wraps where a name is long, so entries are read across lines: name, arch, version, repository, size.
_ENTRY = re.compile(
    r"(?:^|\s)(\S+)\s+(%s)\s+(\S+)\s+(\S+)\s+(\d+(?:\.\d+)?)(?:\s+([kMGT])(?=\s|$))?" % _ARCHES
)
_SECTION = re.compile(
    r"^(Installing|Upgrading|Downgrading|Reinstalling|Removing|Enabling|Resetting|Disabling|Switching"
    r"|Skipping)\b.*:$"
)
_ADDS = ("Installing",)
_REPLACES = ("Upgrading", "Downgrading")
_SIZE = re.compile(r"^(Total download size|Installed size|Freed space): (\d+(?:\.\d+)?)\s*([kMGT]?)\s*$")
_FACTORS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Several versions of these are there side by side.
_SIDE_BY_SIDE = re.compile(r"(kernel|kmod-|gpg-pubkey|installonlypkg)")

_NO_MATCH = re.compile(r"^No match for argument: (\S+)")
_NO_STREAM = re.compile(r"^Module or Group '([^']+)' is not available|^No matching Modules.*: (\S+)")
_LISTS = re.compile(r"^Error: Failed to download metadata for repo '([^']+)': (.*)")
_CURL = re.compile(r"^\s*- (?:Curl error|Status code: \d+).*? for (\S+)(?: \[(.*)\])?")
_FETCH = re.compile(
    r"^\[MIRROR\] (\S+?): (.*)|^\s*(\S+\.rpm): (Cannot download, .*|Downloading successful, but.*)"
)
_SIGNED = re.compile(r"^(?:Error: )?(?:GPG check FAILED|Public key for (\S+) is not (?:installed|trusted))")
_HELD = re.compile(r"package (\S+?)-[^-]+-[^-]+ is filtered out by exclude filtering")
_SPACE = re.compile(r"At least (\d+\s*[MG]B) more space needed on the (\S+) filesystem")
_SCRIPTLET = re.compile(r"scriptlet failed|Error in \w+ scriptlet in rpm package (\S+)")


class Row(NamedTuple):
    """A line of `QUERY`."""

    name: str
    arch: str
    version: str


def rows(lines: Sequence[str]) -> List[Row]:
    """What is installed; an epoch of 0 is left out, as dnf does. Lines that are none are not ours to read."""
    found = []
    for line in lines:
        parts = line.split("\t")
        if len(parts) == 4 and parts[0] != "gpg-pubkey":
            epoch = "" if parts[2] in ("0", "(none)") else parts[2] + ":"
            found.append(Row(parts[0], parts[1], epoch + parts[3]))
    return found


def packages(found: Sequence[Row], dependencies: Set[str], locked: Set[str], arch: str) -> Dict[str, Package]:
    """By name; those of another architecture by name:arch. Two of one are half-way, but of kernels."""
    seen: Dict[str, Package] = {}
    for row in found:
        name = row.name if row.arch in (arch, "noarch") else "%s:%s" % (row.name, row.arch)
        twice = name in seen and not _SIDE_BY_SIDE.match(row.name)
        seen[name] = Package(
            row.version, row.arch, row.name in dependencies, row.name in locked, whole=not twice
        )
    return seen


def change(lines: Sequence[str], installed: Dict[str, Package]) -> Change:
    """The transaction that dnf shows before it asks."""
    result = Change({}, {}, {})
    for section, text in _sections(lines).items():
        for name, arch, version, _repository, _number, _unit in _ENTRY.findall(text):
            key = name if name in installed else _key(name, arch, installed)
            there = installed.get(key)
            if section == "Removing":
                result.removes[key] = there.version if there else version
            elif section in _REPLACES and there is not None:
                result.replaces[key] = (there.version, version)
            elif section in _ADDS:
                result.installs[name] = version
    told = _sizes(lines)
    return result._replace(
        download=told.get("Total download size", 0),
        disk=told.get("Installed size", 0) - told.get("Freed space", 0),
    )


def refusal(lines: Sequence[str], doing: str) -> TargetError:
    """Why dnf did not begin, or what it refuses to do; `doing` such as "install nvidia-driver"."""
    for line in lines:
        unknown, stream = _NO_MATCH.match(line), _NO_STREAM.match(line)
        if unknown:
            name = unknown.group(1)
            return UnknownPackage(
                "no source of this machine has %s" % name,
                "see that its repository is there (dnf repolist), or choose another version or route",
                name,
            )
        if stream:
            name = stream.group(1) or stream.group(2)
            return UnknownPackage(
                "no source of this machine has the module stream %s" % name.lstrip("@"),
                "dnf module list says which there are; choose another branch or route",
                name,
            )
    space, fetch = _room(lines), _fetch(lines)
    if space or fetch:
        return space or fetch  # type: ignore[return-value]
    held = next((match.group(1) for match in map(_HELD.search, lines) if match), None)
    if held:
        return TargetError(
            "%s is held, and that stands in the way: cannot %s" % (held, doing),
            "let it go with dnf versionlock delete %s (or out of excludepkgs), and run again" % held,
        )
    return TargetError("dnf cannot %s: %s" % (doing, _said(lines)), "the lines before say why")


def failure(lines: Sequence[str], doing: str) -> TargetError:
    """Why it went wrong while packages were changed."""
    space, fetch = _room(lines), _fetch(lines)
    if space or fetch:
        return space or fetch  # type: ignore[return-value]
    failed = [match.group(1) for match in map(_SCRIPTLET.search, lines) if match and match.group(1)]
    why = _said(lines)
    return SetupFailed("dnf could not %s: %s" % (doing, why), "the lines before say why", failed)


def of_lists(lines: Sequence[str]) -> List[str]:
    """What `dnf makecache` could not read, as "address or repository: why"."""
    found, last = [], ""
    for line in lines:
        curl, failed = _CURL.match(line), _LISTS.match(line)
        if curl:
            last = "%s: %s" % (curl.group(1), curl.group(2) or "it did not come")
        elif failed:
            found.append(last or "%s: %s" % failed.groups())
            last = ""
    return [without_login(one) for one in dict.fromkeys(found)]


def lock_entry(name: str, package: Package) -> str:
    """The line that holds a package at its version, as `dnf versionlock add` writes it."""
    version = package.version if ":" in package.version else "0:" + package.version
    return "%s-%s.*" % (name.partition(":")[0], version)


def _sections(lines: Sequence[str]) -> Dict[str, str]:
    found: Dict[str, List[str]] = {}
    current: Optional[str] = None
    for line in lines:
        match = _SECTION.match(line)
        if match:
            current = match.group(1)
        elif line.startswith("Transaction Summary"):
            break
        elif current is not None:
            found.setdefault(current, []).append(line)
    return {section: "\n".join(part) for section, part in found.items()}


def _key(name: str, arch: str, installed: Dict[str, Package]) -> str:
    foreign = "%s:%s" % (name, arch)
    return foreign if foreign in installed else name


def _sizes(lines: Sequence[str]) -> Dict[str, int]:
    matches = [match for match in map(_SIZE.match, lines) if match]
    return {match.group(1): int(float(match.group(2)) * _FACTORS[match.group(3)]) for match in matches}


def _room(lines: Sequence[str]) -> Optional[TargetError]:
    for line in lines:
        match = _SPACE.search(line)
        if match:
            return TargetError("%s lacks %s" % (match.group(2), match.group(1)), "make room, and run again")
    return None


def _fetch(lines: Sequence[str]) -> Optional[TargetError]:
    for line in lines:
        broken, unsigned = _FETCH.match(line), _SIGNED.match(line)
        if unsigned:
            what = unsigned.group(1) or "a package"
            return NotFetched(
                "%s is not signed by a key that this machine trusts" % what,
                "the mirror may be at fault: try another, or look at the repository's key",
            )
        if broken:
            name, why = broken.group(1) or broken.group(3), broken.group(2) or broken.group(4)
            return NotFetched(
                without_login("%s did not come: %s" % (name, why)), "see that the mirror works, and run again"
            )
    troubles = of_lists(lines)
    return NotFetched(troubles[0], "see that the mirror works, and run again") if troubles else None


def _said(lines: Sequence[str]) -> str:
    """The decisive line: what follows "Error:", else the last one."""
    kept = [line.strip() for line in lines if line.strip()]
    for number, line in enumerate(kept):
        if line.startswith("Error:"):
            rest = line[len("Error:") :].strip()
            return without_login(rest or " ".join(one.lstrip("- ") for one in kept[number + 1 : number + 3]))
    return without_login(kept[-1]) if kept else "it said nothing"
