"""An emulated package manager: packages in memory, and a power that may be cut."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.system.packages.base import Change, Manager, Package, Told, Wanted, nobody


class PowerCut(BaseException):
    """The machine went off here."""


class Emulated(Manager):
    """What is installed is a dict; what a package would bring or remove is in `brings` and `evicts`."""

    name = "emulated"

    def __init__(self, packages: dict[str, Package] | None = None) -> None:
        self.packages = dict(packages or {})
        self.offered: dict[str, str] = {}
        self.brings: dict[str, list[str]] = {}
        self.evicts: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.raises: dict[str, list[BaseException]] = {}
        self.old: str | None = None
        self.troubles: list[str] = []
        self.needs: list[tuple[str, int]] = []
        self.left: set[str] = set()

    def installed(self) -> dict[str, Package]:
        return dict(self.packages)

    def remains(self, folder: str | None = None) -> set[str]:
        if folder is None:
            return set(self.left)
        return set((Path(folder) / "left").read_text().split())

    def stale(self) -> str | None:
        return self.old

    def refresh(self) -> list[str]:
        self._happens("refresh")
        return self.troubles

    def simulate(self, wanted: Wanted) -> Change:
        self._happens("simulate")
        installs, replaces = {}, {}
        names = list(wanted.install)
        for item in names:
            name, _, version = item.partition("=")
            version = version or self.offered[name]
            names += [one for one in self.brings.get(name, []) if one not in names]
            if name not in self.packages:
                installs[name] = version
            elif self.packages[name].version != version:
                replaces[name] = (self.packages[name].version, version)
        gone = [one for name in [*installs, *replaces] for one in self.evicts.get(name, [])]
        removes = {
            name: self.packages[name].version for name in [*gone, *wanted.remove] if name in self.packages
        }
        return Change(installs, replaces, removes, 1000 * len(installs), 5000)

    def room(self, change: Change) -> list[tuple[str, int]]:
        return self.needs

    def fetch(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        self._happens("fetch")
        told("fetching", 500, 1000)

    def save(self, names: Sequence[str], folder: str) -> dict[str, str]:
        self._happens("save")
        files = {name: f"{name}_{self.packages[name].version}.deb" for name in names}
        for name, file in files.items():
            Path(folder, file).write_text(f"{name} {self.packages[name].version}")
        return files

    def apply(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        change = self.simulate(wanted)
        assert change.same(agreed)
        asked = {item.partition("=")[0] for item in wanted.install}
        self.hold(wanted.release, False)
        for name in change.removes:
            del self.packages[name]
        new = {**change.installs, **{name: pair[1] for name, pair in change.replaces.items()}}
        for name, version in new.items():
            self._happens("apply")
            self.packages[name] = Package(version, "amd64", auto=name not in asked)
            told(f"setting up {name}", None, None)

    def hold(self, names: Sequence[str], held: bool) -> None:
        for name in names:
            self._happens("hold" if held else "unhold")
            self.packages[name] = self.packages[name]._replace(held=held)

    def mark(self, names: Sequence[str], auto: bool) -> None:
        for name in names:
            self.packages[name] = self.packages[name]._replace(auto=auto)

    def repair(self) -> bool:
        self._happens("repair")
        broken = [name for name, package in self.packages.items() if not package.whole]
        for name in broken:
            self.packages[name] = self.packages[name]._replace(whole=True)
        return bool(broken)

    def wait(self, told: Told = nobody) -> None:
        self._happens("wait")

    def copy_of_state(self, folder: str) -> None:
        state = {name: list(package) for name, package in self.packages.items()}
        Path(folder, "state.json").write_text(json.dumps(state))
        Path(folder, "left").write_text(" ".join(sorted(self.left)))

    def read_state(self, folder: str) -> dict[str, Package]:
        state = json.loads(Path(folder, "state.json").read_text())
        return {name: Package(*fields) for name, fields in state.items()}

    def _happens(self, what: str) -> None:
        self.asked.append(what)
        if self.raises.get(what):
            raise self.raises[what].pop(0)


#: What changes a file system for good; between two of them the power may go.
STEPS = ("mkdir", "rename", "replace", "unlink", "rmdir", "chmod")


def cut_power(monkeypatch: pytest.MonkeyPatch, after: int) -> list[str]:
    """The power goes after so many steps; the list says which were taken."""
    taken: list[str] = []

    def broken(name: str) -> Any:
        real = getattr(os, name)

        def step(*args: Any, **kwargs: Any) -> Any:
            if len(taken) >= after:
                raise PowerCut
            taken.append(name)
            return real(*args, **kwargs)

        return step

    for name in STEPS:
        monkeypatch.setattr(os, name, broken(name))
    return taken
