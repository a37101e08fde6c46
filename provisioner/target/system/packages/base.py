"""What every package manager can be asked, whatever it is called."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...errors import TargetError


class Package(NamedTuple):
    """An installed package. `auto`: it came as a dependency; `held`: kept from upgrades; `whole`: not
    half-way.
    """

    version: str
    arch: str
    auto: bool = False
    held: bool = False
    whole: bool = True


class Change(NamedTuple):
    """What a package manager would do, by package name. Sizes are in bytes; `disk` may be negative."""

    installs: Dict[str, str]
    replaces: Dict[str, Tuple[str, str]]  # upgrades and downgrades: from, to
    removes: Dict[str, str]
    download: int = 0
    disk: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing would happen."""
        return not (self.installs or self.replaces or self.removes)

    @property
    def names(self) -> List[str]:
        """All packages that it touches."""
        return sorted({*self.installs, *self.replaces, *self.removes})

    def same(self, other: Change) -> bool:
        """Whether the same would happen to the same packages; what was fetched meanwhile does not count."""
        return self[:3] == other[:3]


class Wanted(NamedTuple):
    """What somebody wants of the packages.

    `install` are names, `name=version`, or paths of archives (they start with a slash); `remove` are names,
    whose configuration goes too, except of those in `leave`; `streams` are module streams (dnf); `downgrade`
    allows older versions; `release` are names whose hold is the caller's own, and is no obstacle.
    """

    install: Sequence[str] = ()
    remove: Sequence[str] = ()
    streams: Sequence[str] = ()
    recommends: bool = False
    downgrade: bool = False
    release: Sequence[str] = ()
    leave: Sequence[str] = ()


class UnknownPackage(TargetError):  # noqa: N818
    """No source of this machine has such a package, or such a version; newer lists may."""

    def __init__(self, message: str, hint: Optional[str] = None, package: str = "") -> None:
        super().__init__(message, hint)
        self.package = package


class NotFetched(TargetError):  # noqa: N818
    """An archive did not come, or not as it was published; newer lists may name another."""


class SetupFailed(TargetError):  # noqa: N818
    """Packages were changed and something went wrong; `packages` are those that failed."""

    def __init__(self, message: str, hint: Optional[str] = None, packages: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.packages = list(packages)


# Told while packages come and are set up: what is done, bytes done, and of how many; None where not counted.
Told = Callable[[str, Optional[int], Optional[int]], None]


def nobody(what: str, done: Optional[int] = None, total: Optional[int] = None) -> None:
    """A `Told` for those whom nobody watches."""


class Manager:
    """apt or dnf. Every method raises TargetError with what is wrong and the next step."""

    name = ""

    def installed(self) -> Dict[str, Package]:
        """Every package that is there, by name (`name:arch` for those of a foreign architecture)."""
        raise NotImplementedError

    def stale(self) -> Optional[str]:
        """Why the lists of what there is should be read anew; None when they need not."""
        raise NotImplementedError

    def refresh(self) -> List[str]:
        """Read the lists of what there is anew; what could not be read, as "address: why".

        A source of somebody else's that is broken is no reason to stop before something is missing.
        """
        raise NotImplementedError

    def simulate(self, wanted: Wanted) -> Change:
        """What `apply` would do; nothing is changed. Raises UnknownPackage; names a held one in the way."""
        raise NotImplementedError

    def room(self, change: Change) -> List[Tuple[str, int]]:
        """The bytes that a change needs, by folder."""
        raise NotImplementedError

    def fetch(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        """Download what `apply` will need, and no more. Raises NotFetched."""
        raise NotImplementedError

    def save(self, names: Sequence[str], folder: str) -> Dict[str, str]:
        """Archives of installed packages as they are now, by name: file names in `folder`, each whole."""
        raise NotImplementedError

    def apply(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        """Install and remove, as one transaction of the manager; only what `simulate` said (`agreed`).

        Holds in `wanted.release` end. Raises SetupFailed when packages have been changed and it went wrong.
        """
        raise NotImplementedError

    def hold(self, names: Sequence[str], held: bool) -> None:
        """Keep packages from being replaced, or let them."""
        raise NotImplementedError

    def mark(self, names: Sequence[str], auto: bool) -> None:
        """Count packages as dependencies, or as asked for."""
        raise NotImplementedError

    def repair(self) -> bool:
        """Finish what an interrupted run left half-way, as far as it goes; whether there was anything."""
        raise NotImplementedError

    def wait(self, told: Told = nobody) -> None:
        """Until nobody else changes packages. Raises TargetError naming who does, after the time allowed."""
        raise NotImplementedError

    def stream_missing(self, stream: str) -> Optional[str]:
        """Why a module stream ("name:stream") is not the one in use; None when it is."""
        raise TargetError("%s knows no module streams: %s" % (self.name, stream), "leave it out")

    def copy_of_state(self, folder: str) -> None:
        """Copy what `read_state` needs to know later what is installed now."""
        raise NotImplementedError

    def read_state(self, folder: str) -> Dict[str, Package]:
        """What was installed when `copy_of_state` was called."""
        raise NotImplementedError

    def remains(self, folder: Optional[str] = None) -> Set[str]:  # noqa: ARG002
        """Packages of which only configuration is there, now or when `copy_of_state` was called.

        rpm knows none: it removes a package's configuration, or renames it.
        """
        return set()


def names(packages: Dict[str, Package]) -> List[str]:
    """In the order a person reads them."""
    return sorted(packages)


def matching(found: Iterable[str], patterns: Sequence[str]) -> List[str]:
    """The names that one of the patterns matches, in order; an architecture does not count.

    A pattern is one of a shell (`nvidia-*`), or a regular expression, which begins with `^`.
    """
    return sorted(name for name in found if any(_matches(name, pattern) for pattern in patterns))


def doing(wanted: Wanted) -> str:
    """What is wanted, as words that stand after "could not"."""
    said = []
    for words, found in (("install", [*wanted.install, *wanted.streams]), ("remove", wanted.remove)):
        if found:
            some = ", ".join(os.path.basename(name) for name in found[:3])
            more = " and %d more" % (len(found) - 3) if found[3:] else ""
            said.append("%s %s%s" % (words, some, more))
    return " and ".join(said) or "finish what is half-way"


def unwanted(change: Change, wanted: Wanted, may_remove: Sequence[str] = ()) -> List[str]:
    """What would be removed that nobody asked to remove, nor allowed to."""
    allowed = {*wanted.remove, *matching(change.removes, may_remove)}
    return sorted(set(change.removes) - allowed)


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("^"):
        return re.match(pattern, name.partition(":")[0]) is not None
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name.partition(":")[0], pattern)
