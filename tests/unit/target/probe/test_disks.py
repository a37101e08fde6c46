from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe.box import Box
from provisioner.target.probe.disks import disks, file_system


def mount(point: str, fs: str) -> dict[str, Any]:
    return {"root": "/", "point": point, "fs": fs, "source": "", "options": []}


TABLE = [mount("/", "ext4"), mount("/var", "xfs"), mount("/var/lib", "btrfs"), mount("/var/lib", "zfs")]


@pytest.mark.parametrize(
    ("path", "fs"),
    [
        ("/", "ext4"),
        ("/opt", "ext4"),
        ("/variety", "ext4"),
        ("/var", "xfs"),
        ("/var/log", "xfs"),
        ("/var/lib/provisioner", "zfs"),
    ],
)
def test_the_file_system_of_a_path(path: str, fs: str) -> None:
    assert file_system(path, TABLE) == fs
    assert file_system(path, []) == ""


def test_a_place_that_is_not_there_yet_is_measured_where_it_will_be(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    size = os.statvfs(tmp_path)
    box = Box()
    place = f"{tmp_path}/link/not/yet"
    found = disks(box, [place], [mount("/", "ext4"), mount(f"{tmp_path}/real", "xfs")])
    assert found.keys() == {place}
    assert found[place]["total_bytes"] == size.f_blocks * size.f_frsize
    assert found[place]["fs"] == "xfs"
    assert 0 < found[place]["free_bytes"] <= found[place]["total_bytes"]
    assert box.unknown == []


def test_a_disk_that_does_not_answer_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stale(path: str) -> None:
        raise OSError(116, "Stale file handle", path)

    monkeypatch.setattr(os, "statvfs", stale)
    box = Box()
    assert disks(box, [str(tmp_path)], []) == {}
    assert box.unknown == [{"what": f"disks.{tmp_path}", "why": f"{tmp_path}: Stale file handle"}]


def test_a_recorded_tree_has_no_disks(tmp_path: Path) -> None:
    box = Box(str(tmp_path))
    assert disks(box, ["/opt"], []) == {}
    assert [entry["what"] for entry in box.unknown] == ["disks"]


@pytest.mark.parametrize(
    ("wsl", "fs", "windows"), [(True, "9p", True), (True, "ext4", False), (False, "9p", False)]
)
def test_in_wsl_a_place_on_a_disk_of_windows_is_told_emulated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wsl: bool, fs: str, windows: bool
) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to("c")
    monkeypatch.setattr("provisioner.target.probe.windows.around", lambda _: wsl)
    place = f"{tmp_path}/link/models"
    found = disks(Box(), [place], [mount("/", "ext4"), mount(f"{tmp_path}/c", fs)])
    assert found[place]["windows"] is windows
