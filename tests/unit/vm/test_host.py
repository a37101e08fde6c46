"""What virtual machines need of a host, and how it is said."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tests.lab import host as lab_host
from tests.lab.process import LabError
from tests.vm import host


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "firmware.fd"
    there.touch()
    monkeypatch.setattr(host, "FILES", {there: "ovmf", tmp_path / "owner.key": "ovmf"})


def test_missing_commands_and_files_with_their_packages(tmp_path: Path) -> None:
    have = set(host.PACKAGES) - {"sbsign", "ssh"}
    found = host.missing(lambda name: name if name in have else None)
    assert found == {"sbsign": "sbsigntool", "ssh": "openssh-client", str(tmp_path / "owner.key"): "ovmf"}


@pytest.mark.parametrize(
    ("system", "machine", "uid", "found"),
    [
        ("Linux", "x86_64", 0, ["`sbsign` is not installed: python -m tests.vm prepare"]),
        ("Linux", "x86_64", 1000, ["making their disk needs root (mmdebstrap): run it with sudo"]),
        ("Linux", "aarch64", 0, ["they run on Linux on x86_64, this is Linux on aarch64"]),
        ("Darwin", "x86_64", 0, ["they run on Linux on x86_64, this is Darwin on x86_64"]),
    ],
)
def test_obstacles(
    system: str, machine: str, uid: int, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(host, "missing", lambda: {"sbsign": "sbsigntool"})
    assert host.obstacles() == found
    with pytest.raises(LabError) as caught:
        host.require()
    assert caught.value.message == found[0]


def test_what_is_missing_is_installed_once_and_then_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {"ssh": "openssh-client", "ssh-keygen": "openssh-client", "sbsign": "sbsigntool"}
    lacking["/lib/qxl.so"] = "of-a-later-release"

    said: list[str] = []
    installed: list[list[str]] = []

    def install(packages: list[str], _say: object) -> None:
        installed.append(packages)
        lacking.clear()

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host, "missing", lambda: dict(lacking))
    monkeypatch.setattr(host, "run", lambda *_a, **_k: None)
    monkeypatch.setattr(lab_host, "install", install)
    monkeypatch.setattr(lab_host, "is_available", lambda name: name != "of-a-later-release")
    host.prepare(said.append)
    host.prepare(said.append)
    assert installed == [["openssh-client", "sbsigntool"]]
    assert said == ["not installed yet: ssh ssh-keygen sbsign /lib/qxl.so"]


def test_preparing_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        host.prepare(print)
