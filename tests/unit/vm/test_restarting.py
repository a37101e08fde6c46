"""How a machine that restarts is started, and how tests name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import cache
from tests.lab import image as lab_image
from tests.vm import bootable, restarting


def test_the_disk_is_the_machines_own_and_outlives_a_restart() -> None:
    words = restarting.qemu(
        bootable.Bootable(Path("/made")), Path("/home/disk.ext4"), Path("/home/vm"), 30001
    )
    line = " ".join(words)
    assert "-drive file=/home/disk.ext4,if=none,id=disk,format=raw,cache=writeback" in line
    assert "snapshot" not in line
    assert "-no-reboot" not in words
    assert "-kernel /made/grub.lnx" in line, "the kernel comes from the disk"
    assert "hostfwd=tcp:127.0.0.1:30001-:22" in line


def test_two_runs_do_not_share_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "root", lambda: tmp_path)
    assert restarting.free_name("driver") == "driver"
    (tmp_path / "vms/driver").mkdir(parents=True)
    assert restarting.free_name("driver") == "driver-1"


def test_the_disk_is_made_anew_when_what_is_on_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_image, "configured_mirrors", lambda: ("http://archive/debian", None))
    before = bootable.key_of(bootable.recipe())
    assert bootable.key_of(bootable.recipe()) == before
    monkeypatch.setattr(bootable, "SCRIPT", "true")
    assert bootable.key_of(bootable.recipe()) != before


def test_what_is_masked_elsewhere_runs_where_modules_and_mounts_are_tested() -> None:
    assert "systemd-modules-load.service" not in bootable.MASKED
    assert "getty.target" in bootable.MASKED
