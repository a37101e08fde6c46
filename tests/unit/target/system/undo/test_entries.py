"""Options in the entries of a boot loader, which no file of the role's holds, go with the role."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.system.undo import entries
from tests.unit.target.system.boxes import FakeBox
from tests.unit.target.system.kernels import RUNNING
from tests.unit.target.system.kernels import boot as restart
from tests.unit.target.system.test_bls import FOLDER, ID, STATE, el, run, systemd

WHAT = "take iommu=pt off the kernel's command line"


def kept(box: FakeBox) -> None:
    """An option is tried, the machine comes back with it, and it is set for every start."""
    run(box, "iommu=pt")
    restart(box, "second")
    box.write("/proc/cmdline", "root=/dev/vda1 ro iommu=pt\n")
    run(box, "iommu=pt")


def test_entries_and_what_new_ones_are_made_from_are_as_before(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    files = (f"{FOLDER}/{ID}-{RUNNING}.conf", "/etc/kernel/cmdline")
    before = [box.read(path) for path in files]
    kept(box)
    assert all("iommu=pt" in box.read(path) for path in files)
    (step,) = entries.undo(box.host, "kernel_options", STATE).steps
    assert step.what == WHAT
    step.act()
    assert [box.read(path) for path in files] == before
    assert entries.undo(box.host, "kernel_options", STATE) == ([], [])


def test_grubby_is_told(tmp_path: Path) -> None:
    box = el(tmp_path)
    kept(box)
    (step,) = entries.undo(box.host, "kernel_options", STATE).steps
    step.act()
    assert box.ran[-1] == "grubby --update-kernel=ALL --remove-args=iommu=pt"


@pytest.mark.parametrize("role", ["kernel_options", "nvidia_driver"])
def test_only_what_the_role_has_set(tmp_path: Path, role: str) -> None:
    box = systemd(tmp_path)
    if role == "nvidia_driver":
        kept(box)
    assert entries.undo(box.host, role, STATE) == ([], [])


def test_another_boot_loader_is_said(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    kept(box)
    for entry in box.path(FOLDER).iterdir():
        entry.unlink()
    found = entries.undo(box.host, "kernel_options", STATE)
    assert (found.steps, [(one.what, one.why) for one in found.kept]) == (
        [],
        [("iommu=pt", "the boot loader that was told is not the one that is here now")],
    )
