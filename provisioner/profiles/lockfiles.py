"""The lock files that come with the tool: what each is made of, where it serves, and what was run of it.

The facts are `locks/locks.yml`; `scripts/locks.py` makes the files of it and proves that they hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from provisioner.errors import ProvisionError
from provisioner.yamlfile import load_yaml

HERE = Path(__file__).parent / "locks"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)\s*(?:;\s*([^\\]*?))?\s*\\?$")
_HASH = re.compile(r"^ +--hash=(sha256:[0-9a-f]{64})(?: \\)?$")
PlatformName = Literal["linux-x86_64", "linux-aarch64", "macos-arm64"]
WORDS: Mapping[PlatformName, str] = {
    "linux-x86_64": "Linux x86-64",
    "linux-aarch64": "Linux aarch64",
    "macos-arm64": "macOS arm64",
}


class Platform(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a lock serves: `at_least` is a glibc, or a macOS; `ran` on what it was run, "" for nothing."""

    platform: PlatformName
    at_least: str
    ran: str


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One lock file and how it is made of NAME.in.

    `universal`: for every platform at once, from the first of `python` on; else for that Python and the one
    platform. `dependencies` false: only what is named. `elsewhere`: packages that no public index has.
    `overrides` replace what packages ask for.
    """

    name: str
    summary: str
    universal: bool
    python: tuple[str, ...]
    platforms: tuple[Platform, ...]
    dependencies: bool = True
    elsewhere: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.python or not self.platforms:
            raise ValueError(f"lock {self.name}: serves no Python or no platform")
        if not self.universal and (len(self.python), len(self.platforms)) != (1, 1):
            raise ValueError(f"lock {self.name}: one that is not universal serves one Python on one platform")

    @property
    def interpreters(self) -> str:
        """The Pythons that it was resolved for, as a constraint: ==3.11.*, or >=3.10,<3.14."""
        if len(self.python) == 1:
            return f"=={self.python[0]}.*"
        major, _, minor = self.python[-1].partition(".")
        return f">={self.python[0]},<{major}.{int(minor) + 1}"

    @property
    def standing(self) -> str:
        """run on Debian 12 (Linux x86-64); resolved, not run: Linux aarch64, macOS arm64."""
        ran = [f"run on {one.ran} ({WORDS[one.platform]})" for one in self.platforms if one.ran]
        rest = ", ".join(WORDS[one.platform] for one in self.platforms if not one.ran)
        return "; ".join([*ran, *([f"resolved, not run: {rest}"] if rest else [])])


@dataclass(frozen=True)
class Pin:
    """A line of a lock file: one version of one package, on boxes where `marker` holds ("": all)."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]

    @property
    def text(self) -> str:
        """The pin as a requirement, without its hashes."""
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


@cache
def locks() -> tuple[Lock, ...]:
    """Every lock that comes with the tool. Raises msgspec.ValidationError for an entry that is none."""
    return msgspec.convert(load_yaml((HERE / "locks.yml").read_text("utf-8")), tuple[Lock, ...])


def find(name: str) -> Lock | None:
    """The lock of that name, None for one of the user's own."""
    return next((lock for lock in locks() if lock.name == name), None)


def pins(text: str, name: str = "lock") -> tuple[Pin, ...]:
    """The pins of a hashed lock file. Raises ProvisionError for a line that is none, and without a hash."""
    found: list[tuple[str, str, str, set[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if pin := _PIN.match(line):
            found.append((pin[1], pin[2], pin[3] or "", set()))
        elif found and (digest := _HASH.match(line)):
            found[-1][3].add(digest[1])
        else:
            raise ProvisionError(
                f"{name}, line {number}: neither a pinned version nor its hash: {line.strip()[:60]}",
                hint="lock files are made by uv with --generate-hashes, not written",
            )
    for package, version, _, hashes in found:
        if not hashes:
            raise ProvisionError(
                f"{name}: {package}=={version} has no hash", hint="make the lock with --generate-hashes"
            )
    return tuple(Pin(*parts[:3], frozenset(parts[3])) for parts in found)
