"""What kernels say of their modules; modinfo is emulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import modules
from provisioner.target.system.modules import Module

from .boxes import CONTAINER, FakeBox
from .kernels import KVM_INTEL, NEXT, NVIDIA, NVME, RUNNING, machine

DEBIAN = "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        (
            NVME,
            {
                "use_threaded_interrupts": "int",
                "use_cmb_sqes": "bool",
                "max_host_mem_size_mb": "uint",
                "io_queue_depth": "",
            },
        ),
        (KVM_INTEL, {"sgx": "bool", "nested": "bool", "vpid": "bool", "ple_gap": "uint"}),
        (
            NVIDIA,
            {
                "NVreg_PreserveVideoMemoryAllocations": "int",
                "NVreg_RegistryDwords": "charp",
                "rm_list": "array of int",
            },
        ),
        ("a:on or off (default: on)\0", {"a": ""}),
    ],
)
def test_parameters(text: str, found: dict[str, str]) -> None:
    assert modules.parameters(text) == found


@pytest.mark.parametrize("asked", ["kvm-intel", "kvm_intel"])
def test_a_module_by_either_spelling(tmp_path: Path, asked: str) -> None:
    found = modules.find(machine(tmp_path).host, RUNNING, asked)
    assert found == Module("kvm-intel", "kvm_intel", False, modules.parameters(KVM_INTEL))


def test_a_part_of_the_kernel(tmp_path: Path) -> None:
    host = machine(tmp_path).host
    types = {"max_cstate": "uint", "ignore_ppc": ""}
    assert modules.find(host, RUNNING, "processor") == Module("processor", "processor", True, types)
    assert modules.find(host, RUNNING, "aes") == Module("aes", "aes", True, {})
    assert modules.find(host, RUNNING, "nosuch") is None


def test_debian_calls_nvidias_module_otherwise(tmp_path: Path) -> None:
    box = machine(tmp_path)
    assert modules.find(box.host, RUNNING, "nvidia") is None
    box.write("/etc/modprobe.d/nvidia.conf", DEBIAN)
    found = modules.find(box.host, RUNNING, "nvidia")
    assert found == Module("nvidia-current", "nvidia", False, modules.parameters(NVIDIA))


def test_a_file_of_the_same_name_is_read_once(tmp_path: Path) -> None:
    box = machine(tmp_path)
    box.write("/lib/modprobe.d/nvidia.conf", DEBIAN)
    box.write("/etc/modprobe.d/nvidia.conf", "# none of it\n")
    assert modules.really(box.host, "nvidia") == "nvidia"
    assert list(modules.settings(box.host)) == ["/etc/modprobe.d/nvidia.conf"]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("nvme_coer", "install the package that brings it, or take it out of kernel_options_modprobe"),
        ("kvm_intle", "did you mean kvm_intel?"),
        ("nvidia-uvm", "install the driver first, or take nvidia-uvm out of kernel_options_modprobe"),
    ],
)
def test_an_unknown_module(tmp_path: Path, asked: str, hint: str) -> None:
    box = machine(tmp_path, {RUNNING: {"kvm-intel": KVM_INTEL}})
    error = modules.unknown_module(box.host, RUNNING, asked)
    assert (error.message, error.hint) == (f"kernel {RUNNING} has no module {asked}", hint)


def test_the_kernels_that_count(tmp_path: Path) -> None:
    box = machine(tmp_path)
    assert modules.releases(box.host) == [RUNNING, NEXT]
    box.write("/proc/sys/kernel/osrelease", "6.1.0-0-gone")
    assert modules.releases(box.host) == [NEXT]
    box.write("/proc/sys/kernel/osrelease", RUNNING)
    box.write("/run/systemd/container", "docker")
    box.write("/proc/self/mountinfo", CONTAINER)
    assert modules.releases(box.host) == [NEXT]
    assert modules.releases(FakeBox(tmp_path / "empty").host) == []


def test_without_modinfo(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="modinfo is not on this box"):
        modules.find(FakeBox(tmp_path).host, RUNNING, "nvme")
