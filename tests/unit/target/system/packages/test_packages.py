"""The entry by which roles that install packages by a way of their own have them noted."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.system import packages
from provisioner.target.system.packages.base import Change, Package, UnknownPackage, Wanted

from .machine import Emulated


class _Archive(Emulated):
    """One that knows what it offers, and nothing else."""

    def simulate(self, wanted: Wanted) -> Change:
        for name in wanted.install:
            if name not in self.offered:
                raise UnknownPackage(f"no source has {name}")
        return super().simulate(wanted)

    def wait(self, *_: object) -> None:
        self._happens("wait")


def test_what_comes_along_counts_and_what_others_do_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = _Archive({"bash": Package("5", "amd64")})
    manager.offered, manager.brings = {"chrony": "4"}, {"chrony": ["libnss=1"]}
    manager.old = "its lists are older than a day"
    monkeypatch.setattr(packages, "known", lambda: manager)
    request = {"role": "some_role", "state": str(tmp_path), "packages": ["chrony", "linux-headers-6.1-mine"]}
    assert packages.main({**request, "do": "note"}) == {"changed": False, "packages": {}}
    assert manager.asked == ["wait", "refresh", "simulate"]
    manager.packages.update(
        {"chrony": Package("4", "amd64"), "libnss": Package("1", "amd64"), "bash": Package("6", "amd64")}
    )
    told = packages.main({**request, "do": "settle"})
    assert told == {"changed": False, "packages": {"chrony": None, "libnss": None}}
