from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.audit import Software
from provisioner.target.probe.audit import packages, software
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box
from tests.unit.target.probe.audit.test_modinfo import elf

Plant = Callable[..., Path]

RELEASE, NEXT = "6.1.0-18-amd64", "6.1.0-21-amd64"
LIBRARY = "/usr/lib/x86_64-linux-gnu"
# Debian 12 with its own driver: the library was upgraded, the module in memory and the next kernel were not.
MACHINE: dict[str, Any] = {
    "/etc/os-release": "ID=debian\nVERSION_CODENAME=bookworm\n",
    "/proc/version": f"Linux version {RELEASE} (x) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1\n",
    "/proc/cmdline": "quiet\n",
    "/proc/modules": "nvidia 1 0 - Live 0x0\n",
    "/boot/vmlinuz-" + RELEASE: "",
    "/boot/vmlinuz-" + NEXT: "",
    f"/lib/modules/{RELEASE}/build": "-> /usr/src/here",
    "/usr/src/here/Makefile": "",
    f"/lib/modules/{RELEASE}/modules.dep": "updates/dkms/nvidia.ko:\n",
    f"/lib/modules/{RELEASE}/updates/dkms/nvidia.ko": elf(),
    "/etc/modprobe.d/nvidia.conf": "blacklist nouveau\n",
    "/usr/bin/gcc": "-> gcc-12",
    "/usr/bin/gcc-12": "",
    "/run/reboot-required": "",
    "/run/reboot-required.pkgs": "linux-image-amd64\n",
    f"{LIBRARY}/libcuda.so.1": "-> libcuda.so.550.90.07",
    f"{LIBRARY}/libcuda.so.550.90.07": "",
    "/var/lib/dkms/nvidia/550.54.15/source/": "",
    f"/var/lib/dkms/nvidia/550.54.15/{RELEASE}/x86_64/module/nvidia.ko": "",
    "/var/lib/dpkg/status": (
        "Package: nvidia-driver\nStatus: hold ok unpacked\nSection: non-free/x\nArchitecture: amd64\n"
        "Version: 550.90.07-1~deb12u1\n"
    ),
}
FOUND: dict[str, tuple[str, Any]] = {
    "loaded_driver": ("read", "550.54.15"),
    "library_driver": ("read", "550.90.07"),
    "module_file": ("read", "550.54.15"),
    "driver_sources": (
        "read",
        [
            {
                "way": "distribution",
                "evidence": "nvidia-driver 550.90.07-1~deb12u1 (no repository of NVIDIA has it here)",
                "version": "550.90.07",
            }
        ],
    ),
    "nouveau": ("read", "blacklisted"),
    "kernels": (
        "read",
        [
            {"release": RELEASE, "headers": True, "gcc": "12.2.0"},
            {"release": NEXT, "headers": False, "gcc": ""},
        ],
    ),
    "gcc": ("read", "12"),
    "held": ("read", ["nvidia-driver"]),
    "half_configured": ("read", ["nvidia-driver (unpacked)"]),
    "reboot_wanted_by": ("read", ["linux-image-amd64"]),
    "unattended": ("read", []),
    "gpu_processes": ("hidden", None),
    "dkms_failed": ("read", [f"nvidia/550.54.15 for {NEXT}: never built"]),
    "command_line": ("read", "quiet"),
}
PACKAGES = ("held", "half_configured", "driver_sources", "unattended")


def look(root: Path, **request: Any) -> dict[str, Any]:
    box = Box(str(root))
    system = {"id": "debian", "container": None, "wsl": False, "kernel": RELEASE}
    return software.section(
        box, Sight(box, {"os": system, "gpus": [], "driver_version": "550.54.15"}, request)
    )


def test_a_whole_emulated_machine(plant: Plant) -> None:
    found = look(plant(MACHINE))
    assert {name: (reading["state"], reading["value"]) for name, reading in found.items()} == FOUND
    assert found.keys() == {field.name for field in dataclasses.fields(Software)}
    read = msgspec.convert(found, Software)
    assert read.driver_sources.value
    assert read.driver_sources.value[0].way == "distribution"


def test_the_package_database_is_left_alone_where_it_is_not_wanted(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_box: Box) -> None:
        pytest.fail("the package database was read")

    monkeypatch.setattr(packages, "packages", refuse)
    found = look(plant(MACHINE), skip=["software.packages"])
    assert FOUND.keys() - found.keys() == set(PACKAGES)


def test_endless_files_and_loops_everywhere(plant: Plant) -> None:
    root = plant(MACHINE)
    for number, name in enumerate(MACHINE):
        path = root / name.strip("/")
        if path.is_file() and not path.is_symlink():
            path.unlink()
            path.symlink_to("/dev/zero" if number % 2 else path.name)
    found = look(root)
    assert found.keys() == FOUND.keys()
    assert msgspec.convert(found, Software).held.state in ("hidden", "error")
