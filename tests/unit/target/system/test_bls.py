"""Loaders with a file for each entry, emulated: systemd-boot, and GRUB with grubby."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import bls, boot
from provisioner.target.system.loaders import Line

from .boxes import MACHINE, FakeBox
from .kernels import NEXT, RUNNING, machine
from .kernels import boot as restart

STATE = "/var/lib/provisioner"
ENTRY = (
    "title Linux {0}\nversion {0}\nsort-key debian\nlinux /x/{0}/linux\ninitrd /x/{0}/initrd\n"
    "options root=/dev/vda1 ro\n"
)
ID = "0123456789abcdef"
FOLDER = "/boot/efi/loader/entries"
TRIAL = f"{FOLDER}/{ID}-0-provisioner.conf"
COPY = (
    f"title Linux {NEXT} (tries kernel options)\nversion {NEXT}\nlinux /x/{NEXT}/linux\n"
    f"initrd /x/{NEXT}/initrd\noptions root=/dev/vda1 ro iommu=pt panic=30\n"
)


def systemd(root: Path) -> FakeBox:
    box = machine(root)
    box.write("/boot/efi/loader/loader.conf", "timeout 3\n")
    for release in (RUNNING, NEXT):
        box.write(f"{FOLDER}/{ID}-{release}.conf", ENTRY.format(release))
    box.write("/etc/kernel/cmdline", "root=/dev/vda1 ro\n")
    box.write("/sys/firmware/efi/efivars/x", "")
    box.program("bootctl")
    return box


def el(root: Path) -> FakeBox:
    box = machine(root)
    box.write("/boot/grub2/grub.cfg", "blscfg\n")
    for release in (RUNNING, NEXT):
        box.write(f"/boot/loader/entries/{ID}-{release}.conf", ENTRY.format(release))
    for name in ("grubby", "grub2-reboot", "grub2-mkconfig"):
        box.program(name)
    box.program("grub2-probe", lambda target, _: (0, ["xfs"] if target == "--target=fs" else []))
    return box


def run(box: FakeBox, *wanted: str) -> tuple[bool, list[str], str | None]:
    return boot.apply(box.host, STATE, list(wanted), False)


TRIED = (
    True,
    ["the next start tries iommu=pt, and the one after it has the line as it was"],
    "iommu=pt on the kernel's command line",
)
KEPT = (True, ["the machine came back with iommu=pt, which stays"], None)


def test_systemd_boot_tries_a_copy_and_then_changes_all(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    assert run(box, "iommu=pt") == TRIED
    assert (box.read(TRIAL), box.ran) == (COPY, [f"bootctl set-oneshot {ID}-0-provisioner.conf"])
    assert run(box, "iommu=pt") == (False, [], TRIED[2])
    restart(box, "second")
    box.write("/proc/cmdline", "root=/dev/vda1 ro iommu=pt panic=30")
    assert run(box, "iommu=pt") == KEPT
    assert not box.path(TRIAL).exists()
    for release in (RUNNING, NEXT):
        assert box.read(f"{FOLDER}/{ID}-{release}.conf").endswith("\noptions root=/dev/vda1 ro iommu=pt\n")
    assert box.read("/etc/kernel/cmdline") == "root=/dev/vda1 ro iommu=pt\n"
    assert run(box, "iommu=pt") == (False, [], None)
    assert run(box) == (True, ["iommu=pt goes with the next start"], None)
    assert box.read("/etc/kernel/cmdline") == "root=/dev/vda1 ro\n"
    for release in (RUNNING, NEXT):
        assert box.read(f"{FOLDER}/{ID}-{release}.conf") == ENTRY.format(release)


def test_what_did_not_start_is_taken_off(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    run(box, "iommu=pt")
    restart(box, "second")
    with pytest.raises(TargetError, match="did not come back with iommu=pt"):
        run(box, "iommu=pt")
    assert not box.path(TRIAL).exists()


def test_el_tries_a_copy_and_then_asks_grubby(tmp_path: Path) -> None:
    box = el(tmp_path)
    assert run(box, "iommu=pt") == TRIED
    assert box.ran[-1] == f"grub2-reboot {ID}-0-provisioner"
    assert box.read(f"/boot/loader/entries/{ID}-0-provisioner.conf") == COPY
    restart(box, "second")
    box.write("/proc/cmdline", "root=/dev/vda1 ro iommu=pt panic=30")
    assert run(box, "iommu=pt") == KEPT
    assert box.ran[-1] == "grubby --update-kernel=ALL --args=iommu=pt"
    assert run(box) == (True, ["iommu=pt goes with the next start"], None)
    assert box.ran[-1] == "grubby --update-kernel=ALL --remove-args=iommu=pt"


@pytest.mark.parametrize(
    ("make", "lose", "why"),
    [
        (systemd, "bootctl", "bootctl is not on this box"),
        (el, "grub2-reboot", "grub2-reboot is not on this box"),
    ],
)
def test_where_nothing_can_be_tried(tmp_path: Path, make: object, lose: str, why: str) -> None:
    assert callable(make)
    box: FakeBox = make(tmp_path)
    box.path(f"/usr/sbin/{lose}").unlink()
    assert run(box, "iommu=pt")[1] == [f"{why}: iommu=pt is set without being tried first"]


def test_a_grub_that_cannot_write_tries_nothing(tmp_path: Path) -> None:
    box = el(tmp_path)
    box.program(
        "grub2-probe", lambda target, _: (0, ["lvm"] if target == "--target=abstraction" else ["xfs"])
    )
    loader = bls.Grubby(box.host, STATE)
    assert loader.cannot_try() == "GRUB cannot write to /boot/grub2, which lies on lvm"


def test_the_entry_without_options_gets_some(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    bare = "title x\nlinux /x\n"
    box.write(f"{FOLDER}/{ID}-{NEXT}.conf", bare)
    bls.SystemdBoot(box.host, STATE).set(Line(["iommu=pt"], []))
    assert box.read(f"{FOLDER}/{ID}-{NEXT}.conf") == bare + "options iommu=pt\n"


def test_entries_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    box.write("/proc/self/mountinfo", MACHINE + "26 25 8:2 / /boot/efi ro - vfat /dev/sda2 rw\n")
    with pytest.raises(TargetError, match=f"{FOLDER} is mounted read-only"):
        run(box, "iommu=pt")


def test_no_entry_for_the_kernel_is_named(tmp_path: Path) -> None:
    box = systemd(tmp_path)
    box.path(f"{FOLDER}/{ID}-{NEXT}.conf").unlink()
    with pytest.raises(TargetError, match=f"the boot loader has no entry for kernel {NEXT}"):
        run(box, "iommu=pt")
