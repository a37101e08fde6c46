"""The entry as a whole, on an emulated Debian with GRUB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import kernel_options, refresh
from provisioner.target.system.kernel_options import Asked, Names, main
from provisioner.target.system.loaders import DROP_IN, SCRIPT
from provisioner.target.system.modprobe import BLACKLIST, HEAD, OPTIONS

from .boxes import CONTAINER, FakeBox
from .grubs import GrubBox
from .kernels import load

STATE = "/var/lib/provisioner"
NAMES = Names(["iommu", "pcie_aspm"], ["pcie_aspm"])
ASKED = Asked({"kvm_intel": {"nested": True}, "pcie_aspm": "off"}, ["iommu=pt"], ["nouveau"])
FILES = [
    {"id": "kernel_options.modprobe", "kind": "file", "path": OPTIONS, "refresh": "initramfs"},
    {"id": "kernel_options.blacklist", "kind": "file", "path": BLACKLIST, "refresh": "initramfs"},
]
RESOURCES = [
    *FILES,
    {
        "id": "kernel_options.kvm-intel.nested",
        "kind": "parameter",
        "module": "kvm_intel",
        "name": "nested",
        "wanted": "1",
    },
    {"id": "kernel_options.boot", "kind": "file", "path": DROP_IN, "refresh": "boot"},
    {"id": "kernel_options.boot_trial", "kind": "file", "path": SCRIPT, "refresh": "boot"},
    {"id": "kernel_options.boot.iommu=pt", "kind": "boot_option", "option": "iommu=pt"},
    {"id": "kernel_options.boot.pcie_aspm=off", "kind": "boot_option", "option": "pcie_aspm=off"},
]
MOVED = "pcie_aspm is an option of the kernel's command line, so it went to the boot loader"


@pytest.fixture
def grub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GrubBox:
    monkeypatch.setattr("os.sync", lambda: None)
    grub = GrubBox(tmp_path)
    grub.box.program("lsinitramfs", lambda _: (0, ["usr/lib/modules/x/kernel/drivers/nvme.ko.xz"]))
    return grub


def tree(box: FakeBox) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(box.root.rglob("*")) if path.is_file()}


def have(box: FakeBox, asked: Asked = ASKED, check: bool = False) -> dict[str, Any]:
    return kernel_options.have(box.host, asked, NAMES, STATE, check)


def test_a_look_changes_nothing(grub: GrubBox) -> None:
    before = tree(grub.box)
    found = kernel_options.look(grub.box.host, ASKED, NAMES, STATE)
    assert found == {
        "changed": False,
        "said": [MOVED],
        "resources": RESOURCES,
        "restart": None,
        "initramfs": [],
    }
    assert tree(grub.box) == before


WRITTEN = [f"{OPTIONS} was written", f"{BLACKLIST} was written"]
TRIES = "the next start tries iommu=pt, pcie_aspm=off, and the one after it has the line as it was"
WHY = "iommu=pt, pcie_aspm=off on the kernel's command line"


def test_all_of_it(grub: GrubBox) -> None:
    said = [MOVED, *WRITTEN, TRIES]
    answer = {"changed": True, "said": said, "resources": RESOURCES, "restart": WHY, "initramfs": []}
    before = tree(grub.box)
    assert have(grub.box, check=True) == answer
    assert tree(grub.box) == before
    assert have(grub.box) == answer
    assert have(grub.box) == {**answer, "changed": False, "said": [MOVED]}
    assert grub.box.read(OPTIONS) == HEAD + "options kvm-intel nested=1\n"
    assert grub.box.read(BLACKLIST) == HEAD + "blacklist nouveau\n"
    grub.start()
    answer["resources"] = [one for one in RESOURCES if one["id"] != "kernel_options.boot_trial"]
    kept = [MOVED, "the machine came back with iommu=pt, pcie_aspm=off, which stays"]
    assert have(grub.box) == {**answer, "said": kept, "restart": None}
    assert have(grub.box) == {**answer, "changed": False, "said": [MOVED], "restart": None}


def test_all_of_it_goes(grub: GrubBox) -> None:
    have(grub.box)
    grub.start()
    have(grub.box)
    gone = have(grub.box, Asked({}, [], []))
    assert gone["said"] == [
        f"{OPTIONS} was taken away",
        f"{BLACKLIST} was taken away",
        "iommu=pt, pcie_aspm=off goes with the next start",
    ]
    assert (gone["resources"], gone["restart"], gone["changed"]) == ([], None, True)
    assert [grub.box.path(path).exists() for path in (OPTIONS, BLACKLIST, DROP_IN)] == [False] * 3
    assert have(grub.box, Asked({}, [], []))["changed"] is False


def test_what_is_in_use_waits(grub: GrubBox) -> None:
    load(grub.box, "kvm_intel", {"nested": "N"}, used=2)
    found = have(grub.box, Asked({"kvm_intel": {"nested": 1}}, [], []))
    assert found["restart"] == "nested=1 of module kvm_intel, which is in use"


@pytest.mark.parametrize(
    "asked", [Asked({"nvme": {"use_threaded_interrupts": 1}}, [], []), Asked({}, [], ["nvme"])]
)
def test_an_initramfs_with_the_module_is_made_anew(grub: GrubBox, asked: Asked) -> None:
    assert have(grub.box, asked)["initramfs"] == [OPTIONS, BLACKLIST]
    # Interrupted before it was made, and when the options go again, too.
    assert have(grub.box, asked)["initramfs"] == [OPTIONS, BLACKLIST]
    assert have(grub.box, Asked({}, [], []))["initramfs"] == [OPTIONS, BLACKLIST]
    assert have(grub.box, Asked({}, [], []))["initramfs"] == []


def test_an_initramfs_that_was_made_of_the_files_is_made_without_them(grub: GrubBox) -> None:
    asked = Asked({"nvme": {"use_threaded_interrupts": 1}}, [], [])
    have(grub.box, asked)
    grub.box.program("update-initramfs")
    refresh.refresh(grub.box.host, "initramfs", [OPTIONS, BLACKLIST], STATE)
    have(grub.box, Asked({}, [], []))
    assert have(grub.box, Asked({}, [], []))["initramfs"] == [OPTIONS, BLACKLIST]


def test_an_initramfs_that_cannot_be_seen_into_is_made_anew(grub: GrubBox) -> None:
    grub.box.path("/usr/sbin/lsinitramfs").unlink()
    assert have(grub.box)["initramfs"] == [OPTIONS, BLACKLIST]


READ_ONLY = "26 25 8:2 / /boot ro - ext4 /dev/sda2 rw\n"


@pytest.mark.parametrize(
    "asked", [Asked({"nvme": {"use_threaded_interrupts": 1}}, [], []), Asked({}, ["iommu=pt"], [])]
)
def test_a_boot_that_cannot_be_written_is_named_before_anything_begins(grub: GrubBox, asked: Asked) -> None:
    grub.box.program("update-initramfs")
    with (grub.box.path("/proc/self/mountinfo")).open("a") as table:
        table.write(READ_ONLY)
    with pytest.raises(TargetError) as caught:
        kernel_options.look(grub.box.host, asked, NAMES, STATE)
    assert caught.value.message == "/boot is mounted read-only"
    # What has nothing to do with it goes on.
    kernel_options.look(grub.box.host, Asked({"kvm_intel": {"nested": 1}}, [], []), NAMES, STATE)


HOSTS = "this is a container (docker), and its host starts the kernel: nothing is set for it here"


def contain(box: FakeBox) -> None:
    box.write("/run/systemd/container", "docker\n")
    box.write("/proc/self/mountinfo", CONTAINER)


def test_a_container_has_nothing_to_set(tmp_path: Path) -> None:
    box = FakeBox(tmp_path)
    contain(box)
    nothing = {"changed": False, "said": [HOSTS], "resources": [], "restart": None, "initramfs": []}
    assert (have(box), kernel_options.look(box.host, ASKED, NAMES, STATE)) == (nothing, nothing)
    assert have(box, Asked({}, [], [])) == {**nothing, "said": []}


def test_the_image_of_a_machine_gets_its_files(grub: GrubBox) -> None:
    contain(grub.box)
    load(grub.box, "kvm_intel", {"nested": "N"}, mode=0o644)
    found = have(grub.box)
    assert found["said"] == [MOVED, HOSTS, *WRITTEN]
    assert (found["resources"], found["restart"]) == (FILES, None)
    assert grub.box.read("/sys/module/kvm_intel/parameters/nested") == "N\n"


def test_wsl_is_started_by_windows(tmp_path: Path) -> None:
    box = FakeBox(tmp_path)
    box.write("/proc/sys/kernel/osrelease", "5.15.90.1-microsoft-standard-WSL2")
    box.write("/dev/dxg", "")
    assert have(box)["said"] == [
        "Windows starts the kernel of WSL: set kernelCommandLine in .wslconfig there"
    ]


def test_a_file_that_cannot_be_written_is_named(grub: GrubBox, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("provisioner.target.system.loaders.os.replace", refuse)
    with pytest.raises(TargetError) as caught:
        have(grub.box)
    assert caught.value.message == f"cannot write {OPTIONS}: Read-only file system"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"do": "undo"}, "do: 'undo' is neither look nor apply"),
        ({"state": "x"}, "state: an absolute path is needed, not 'x'"),
        ({"modprobe": []}, "kernel_options_modprobe: [] is not a mapping of modules to their parameters"),
        ({"boot": "iommu=pt"}, "kernel_options_boot: 'iommu=pt' is not a list"),
    ],
)
def test_a_request_that_makes_no_sense(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TargetError) as caught:
        main({"do": "look", "state": "/s", **wrong})
    assert caught.value.message == message


def test_nothing_is_wanted_of_this_box() -> None:
    assert main({"do": "look", "state": "/nowhere"})["resources"] == []
