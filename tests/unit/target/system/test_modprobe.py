"""What modprobe is told, and what is refused; modinfo is emulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import modprobe
from provisioner.target.system.modprobe import BLACKLIST, HEAD, OPTIONS, Told

from .boxes import FakeBox
from .kernels import KVM_INTEL, NEXT, RUNNING, machine

ASTRAY = ["pcie_aspm", "pci", "iommu", "processor_x"]


@pytest.mark.parametrize(
    ("asked", "options", "boot", "said"),
    [
        ({}, {}, [], []),
        (
            {"kvm_intel": {"nested": True, "ple_gap": "0x80"}},
            {"kvm-intel": {"nested": "1", "ple_gap": "0x80"}},
            [],
            [],
        ),
        ({"pcie_aspm": "force"}, {}, ["pcie_aspm=force"], ["pcie_aspm"]),
        (
            {"nvme": {"pcie_aspm": "off", "use_threaded_interrupts": 1}},
            {"nvme": {"use_threaded_interrupts": "1"}},
            ["pcie_aspm=off"],
            ["pcie_aspm"],
        ),
        (
            {"pci": {"realloc": True, "hpmemsize": "1M"}},
            {},
            ["pci=realloc", "pci=hpmemsize=1M"],
            ["pci", "pci"],
        ),
        ({"iommu": {"pt": ""}}, {}, ["iommu=pt"], ["iommu"]),
        ({"nvme": {}}, {}, [], []),
    ],
)
def test_what_goes_where(
    tmp_path: Path, asked: dict[str, Any], options: dict[str, Any], boot: list[str], said: list[str]
) -> None:
    told = modprobe.sort_out(machine(tmp_path).host, asked, ASTRAY)
    words = [
        f"{name} is an option of the kernel's command line, so it went to the boot loader" for name in said
    ]
    assert (told.options, told.boot, told.said) == (options, boot, words)


def test_a_part_of_the_kernel_is_told_by_the_boot_loader(tmp_path: Path) -> None:
    told = modprobe.sort_out(machine(tmp_path).host, {"processor": {"max_cstate": 1}}, ASTRAY)
    said = f"processor is a part of kernel {RUNNING}, so max_cstate went to the boot loader"
    assert told == Told({}, {}, ["processor.max_cstate=1"], [said])


def test_debians_module_gets_the_options_of_nvidia(tmp_path: Path) -> None:
    box = machine(tmp_path)
    box.write("/etc/modprobe.d/nvidia.conf", "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n")
    told = modprobe.sort_out(box.host, {"nvidia": {"NVreg_PreserveVideoMemoryAllocations": 1}}, ASTRAY)
    assert told.options == {"nvidia-current": {"NVreg_PreserveVideoMemoryAllocations": "1"}}
    assert told.loaded_as == {"nvidia-current": "nvidia"}


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        (
            {"kvm_intel": {"nestde": 1}},
            f"module kvm_intel of kernel {RUNNING} takes no parameter nestde",
            "did you mean nested?",
        ),
        (
            {"kvm_intel": {"zzz": 1}},
            f"module kvm_intel of kernel {RUNNING} takes no parameter zzz",
            "it takes nested, ple_gap, sgx, vpid",
        ),
        (
            {"fat": {"zzz": 1}},
            f"module fat of kernel {RUNNING} takes no parameter zzz",
            "it takes none: take it out of kernel_options_modprobe",
        ),
        (
            {"kvm_intle": {"nested": 1}},
            f"kernel {RUNNING} has no module kvm_intle",
            "did you mean kvm_intel?",
        ),
        (
            {"kvm_intel": {"nested": "maybe"}},
            "kvm_intel.nested: 'maybe' does not fit, the module takes bool",
            f"give true or false (kernel {RUNNING})",
        ),
        (
            {"kvm_intel": "nested"},
            "kernel_options_modprobe: kvm_intel has no parameters",
            "write `kvm_intel: {parameter: value}`, or put an option of the kernel into kernel_options_boot",
        ),
        (
            {"pci": {"realloc": 'a"b'}},
            "realloc: 'a\"b' does not fit",
            "give a word without quotes, backslashes and line breaks",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, asked: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        modprobe.sort_out(machine(tmp_path).host, asked, ASTRAY)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_kernel_that_starts_next_is_asked_too(tmp_path: Path) -> None:
    box = machine(tmp_path, {RUNNING: {"kvm-intel": KVM_INTEL}, NEXT: {"fat": ""}})
    with pytest.raises(TargetError) as caught:
        modprobe.sort_out(box.host, {"kvm_intel": {"nested": 1}}, ASTRAY)
    assert caught.value.message == f"kernel {NEXT} has no module kvm_intel, though {RUNNING} has"
    changed = machine(
        tmp_path / "b", {RUNNING: {"kvm-intel": KVM_INTEL}, NEXT: {"kvm-intel": "sgx: (bool)\0"}}
    )
    with pytest.raises(TargetError, match=f"of kernel {NEXT} takes no parameter nested"):
        modprobe.sort_out(changed.host, {"kvm_intel": {"nested": 1}}, ASTRAY)


def test_a_kernel_whose_modules_have_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="there is no list of modules in /lib/modules"):
        modprobe.sort_out(FakeBox(tmp_path).host, {"nvme": {"a": 1}}, ASTRAY)


def test_the_files() -> None:
    options = {"nvme": {"b": "2", "a": "x y"}, "fat": {"c": "1"}}
    assert modprobe.texts(options, ["pcspkr", "floppy", "floppy"]) == {
        OPTIONS: HEAD + 'options fat c=1\noptions nvme "a=x y" b=2\n'.replace('"a=x y"', 'a="x y"'),
        BLACKLIST: HEAD + "blacklist floppy\nblacklist pcspkr\n",
    }
    assert modprobe.texts({}, []) == {OPTIONS: "", BLACKLIST: ""}


OTHER = "options kvm-intel ple_gap=1 \\\n  nested=%s\n"
WINS = "/etc/modprobe.d/a.conf has nested=0 for module kvm-intel: nested=1 wins"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("/etc/modprobe.d/a.conf", "0", [WINS]),
        ("/etc/modprobe.d/a.conf", "Y", []),
        ("/etc/modprobe.d/zz.conf", "1", []),
        (OPTIONS, "0", []),
    ],
)
def test_somebody_else_says_otherwise(tmp_path: Path, path: str, value: str, said: list[str]) -> None:
    box = machine(tmp_path)
    box.write(path, OTHER % value)
    assert modprobe.conflicts(box.host, {"kvm-intel": {"nested": "1"}}) == said


@pytest.mark.parametrize(
    ("path", "text", "module", "hint"),
    [
        ("/etc/modprobe.d/zz.conf", OTHER % 0, "kvm-intel", "take it out there"),
        ("/proc/cmdline", "ro kvm_intel.nested=0\n", "kvm_intel", "take it out there"),
        (
            "/usr/lib/modprobe.d/systemd.conf",
            OTHER % 0,
            "kvm-intel",
            "put a file systemd.conf without it into /etc/modprobe.d",
        ),
    ],
)
def test_somebody_elses_word_would_win(tmp_path: Path, path: str, text: str, module: str, hint: str) -> None:
    box = machine(tmp_path)
    box.write(path, text)
    with pytest.raises(TargetError) as caught:
        modprobe.conflicts(box.host, {"kvm-intel": {"nested": "1"}})
    assert caught.value.message == f"{path} has nested=0 for module {module}, which wins over nested=1"
    assert caught.value.hint == f"{hint}, or take nested out of kernel_options_modprobe"


def test_what_stays_out(tmp_path: Path) -> None:
    host = machine(tmp_path).host
    assert modprobe.kept_out(host, ["nouveau"]) == []
    said = f"kernel {RUNNING} has no module pcspkr, which is kept out all the same"
    assert modprobe.kept_out(host, ["pcspkr"]) == [said]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("nouvaeu", f"kernel {RUNNING} has no module nouvaeu", "did you mean nouveau?"),
        (
            "processor",
            f"processor is a part of kernel {RUNNING}: nothing keeps it from loading",
            "take it out of kernel_options_blacklist",
        ),
        ("a b", "kernel_options_blacklist: 'a b' is no name of a module", "give one name"),
    ],
)
def test_what_cannot_stay_out(tmp_path: Path, name: str, message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        modprobe.kept_out(machine(tmp_path).host, [name])
    assert (caught.value.message, caught.value.hint) == (message, hint)
