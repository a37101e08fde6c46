from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import dpkg
from provisioner.target.system import packages
from provisioner.target.system.packages import managers
from provisioner.target.system.packages.apt import Apt
from provisioner.target.system.packages.base import Package

from .machine import Emulated


def test_a_system_with_apt_has_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "apt-get").touch()
    monkeypatch.setattr(managers, "APT", str(tmp_path / "apt-get"))
    monkeypatch.setattr(dpkg, "STATUS", str(tmp_path / "apt-get"))
    assert isinstance(managers.manager(), Apt)


def test_a_system_with_neither_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(managers, "APT", str(tmp_path / "apt-get"))
    monkeypatch.setattr(managers, "DNF", str(tmp_path / "dnf"))
    with pytest.raises(TargetError) as refusal:
        managers.manager()
    assert refusal.value.hint == "install them with its own package manager, and run again"
    request = {"do": "note", "role": "some_role", "state": str(tmp_path)}
    assert packages.main(request) == {"changed": False, "packages": {}}
    assert list(tmp_path.iterdir()) == []


def test_a_role_notes_and_settles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    manager = Emulated({"bash": Package("5", "amd64")})
    monkeypatch.setattr(packages, "known", lambda: manager)
    manager.offered = {"chrony": "4"}
    request: dict[str, Any] = {"role": "some_role", "state": str(tmp_path), "packages": ["chrony"]}
    assert packages.main({**request, "do": "note", "check": True})["packages"] == {}
    assert list(tmp_path.iterdir()) == []
    packages.main({**request, "do": "note"})
    manager.packages["chrony"] = Package("4", "amd64")
    assert packages.main({**request, "do": "settle", "check": True})["packages"] == {"chrony": None}
    assert (tmp_path / "saved/some_role/before").is_dir()
    assert packages.main({**request, "do": "settle"}) == {"changed": False, "packages": {"chrony": None}}
    assert not (tmp_path / "saved/some_role/before").exists()


def test_packages_are_noted_or_settled_and_nothing_else() -> None:
    with pytest.raises(TargetError, match="packages are noted or settled, not 'undo'"):
        packages.main({"do": "undo"})
