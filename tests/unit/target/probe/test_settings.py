from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe.box import Box
from provisioner.target.probe.observe import Observer, observe
from provisioner.target.probe.settings import equal

Plant = Callable[..., Path]
Case = tuple[dict[str, str], dict[str, Any], dict[str, Any]]

STATUS = """\
Package: nvidia-driver
Status: hold ok installed
Architecture: amd64
Version: 550

Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2
"""
ALTERNATIVE = "manual\n/usr/local/cuda\n\n/usr/local/cuda-12.4\n124\n\n"
HELD = {"kind": "hold", "name": "nvidia-driver"}
CUDA = {"kind": "alternative", "name": "cuda"}
PERSISTENCED = {"kind": "unit", "name": "nvidia-persistenced.service"}
SYSTEMD = "/etc/systemd/system"
UNIT = {"/usr/lib/systemd/system/nvidia-persistenced.service": "[Unit]\n"}
MODESET = {"kind": "parameter", "module": "nvidia-drm", "name": "modeset", "wanted": 1}
PAT = {"kind": "parameter", "module": "nvidia", "name": "NVreg_UsePageAttributeTable", "wanted": 1}
PARAMETERS = "/sys/module/nvidia_drm/parameters"
REALLOC = {"kind": "boot_option", "option": "pci=realloc"}


def present(**more: Any) -> dict[str, Any]:
    return {"state": "present", **more}


CASES: dict[str, Case] = {
    "a hold": ({"/var/lib/dpkg/status": STATUS}, HELD, present()),
    "a hold of an architecture": (
        {"/var/lib/dpkg/status": STATUS},
        {"kind": "hold", "name": "nvidia-driver:amd64"},
        present(),
    ),
    "no hold": ({"/var/lib/dpkg/status": STATUS}, {"kind": "hold", "name": "bash"}, {"state": "absent"}),
    "no database of holds": ({}, HELD, {"state": "absent"}),
    "an alternative": (
        {"/var/lib/dpkg/alternatives/cuda": ALTERNATIVE, "/etc/alternatives/cuda": "-> /usr/local/cuda-12.4"},
        CUDA,
        present(mode="manual", value="/usr/local/cuda-12.4"),
    ),
    "an alternative of EL": (
        {"/var/lib/alternatives/cuda": "auto\n/usr/local/cuda\n", "/etc/alternatives/cuda": "-> /opt/cuda"},
        CUDA,
        present(mode="auto", value="/opt/cuda"),
    ),
    "an alternative whose link is gone": (
        {"/var/lib/dpkg/alternatives/cuda": ALTERNATIVE},
        CUDA,
        present(mode="manual", value=""),
    ),
    "no alternative": ({}, CUDA, {"state": "absent"}),
    "an alternative of another shape": (
        {"/var/lib/dpkg/alternatives/cuda": "x"},
        CUDA,
        {"state": "unknown", "why": "/var/lib/dpkg/alternatives/cuda starts with neither auto nor manual"},
    ),
    "an alternative elsewhere": (
        {},
        {"kind": "alternative", "name": "../../etc/passwd"},
        {"state": "unknown", "why": "../../etc/passwd is no name"},
    ),
    "an enabled unit": (
        {
            **UNIT,
            f"{SYSTEMD}/multi-user.target.wants/nvidia-persistenced.service": (
                "-> /usr/lib/systemd/system/nvidia-persistenced.service"
            ),
        },
        PERSISTENCED,
        present(enabled=True, masked=False),
    ),
    "a unit with another name": (
        {**UNIT, f"{SYSTEMD}/gpus.service": "-> /usr/lib/systemd/system/nvidia-persistenced.service"},
        PERSISTENCED,
        present(enabled=True, masked=False),
    ),
    "a unit that was written into /etc and is not enabled": (
        {f"{SYSTEMD}/nvidia-persistenced.service": "[Unit]\n"},
        PERSISTENCED,
        present(enabled=False, masked=False),
    ),
    "a masked unit": (
        {**UNIT, f"{SYSTEMD}/nvidia-persistenced.service": "-> /dev/null"},
        PERSISTENCED,
        present(enabled=False, masked=True),
    ),
    "an instance of a unit": (
        {"/lib/systemd/system/tty@.service": "", f"{SYSTEMD}/a.target.requires/tty@1.service": "-> /x"},
        {"kind": "unit", "name": "tty@1.service"},
        present(enabled=True, masked=False),
    ),
    "no unit": (
        {f"{SYSTEMD}/multi-user.target.wants/nvidia-persistenced.service": "-> /gone"},
        PERSISTENCED,
        {"state": "absent"},
    ),
    "a parameter of a module that is not loaded": ({}, MODESET, present(holds=True)),
    "a parameter as it should be": ({f"{PARAMETERS}/modeset": "Y\n"}, MODESET, present(holds=True)),
    "another parameter": ({f"{PARAMETERS}/modeset": "N\n"}, MODESET, present(holds=False, value="N")),
    "a parameter that the NVIDIA module tells": (
        {"/proc/driver/nvidia/params": "Mobile: 0\nUsePageAttributeTable: 4294967295\n"},
        PAT,
        present(holds=False, value="4294967295"),
    ),
    "a parameter that the NVIDIA module does not tell": (
        {"/proc/driver/nvidia/params": "Mobile: 0\n"},
        PAT,
        present(holds=True),
    ),
    "a parameter that cannot be read": (
        {f"{PARAMETERS}/modeset/": ""},
        MODESET,
        {"state": "unknown", "why": "modeset: Is a directory"},
    ),
    "a parameter of nothing": (
        {},
        {"kind": "parameter", "name": "modeset"},
        {"state": "unknown", "why": "the resource has no module"},
    ),
    "a boot option": ({"/proc/cmdline": "root=/dev/sda1 pci=realloc quiet\n"}, REALLOC, present()),
    "a boot option spelled otherwise": (
        {"/proc/cmdline": 'quiet x="a b pci=off" pcie-aspm="force"\n'},
        {"kind": "boot_option", "option": "pcie_aspm=force"},
        present(),
    ),
    "no boot option": (
        {"/proc/cmdline": 'x="a pci=realloc b" pci=reallocate\n'},
        REALLOC,
        {"state": "absent"},
    ),
    "a module": (
        {"/sys/module/nvidia_uvm/version": "550.54.15\n"},
        {"kind": "module", "name": "nvidia-uvm"},
        present(version="550.54.15"),
    ),
    "a module that tells no version": (
        {"/sys/module/kvm/": ""},
        {"kind": "module", "name": "kvm"},
        present(version=None),
    ),
    "no module": ({}, {"kind": "module", "name": "kvm"}, {"state": "absent"}),
}


@pytest.mark.parametrize("name", CASES)
def test_observations(plant: Plant, name: str) -> None:
    files, resource, observation = CASES[name]
    root = plant(files)
    assert observe(resource, str(root)) == observation


@pytest.mark.parametrize(
    ("value", "wanted", "same"),
    [
        ("Y", "1", True),
        ("Y", 1, True),
        ("Y", True, True),
        ("N", 0, True),
        ("N", False, True),
        ("Y", 0, False),
        ("1", "on", True),
        ("16", "0x10", True),
        ("4294967295", "-1", True),
        ("-1", -1, True),
        ("2", "1", False),
        ("3,4", "3,4", True),
        ('"PerfLevelSrc=0x2222"', "PerfLevelSrc=0x2222", True),
        ("(null)", "", False),
        ("auto", "1", False),
        ("none", None, False),
    ],
)
def test_a_parameter_is_compared_as_the_kernel_means_it(value: str, wanted: Any, same: bool) -> None:
    assert equal(value, wanted) is same


def test_holds_are_read_once(plant: Plant) -> None:
    box = Box(str(plant({"/var/lib/dpkg/status": STATUS})))
    observer = Observer(box)
    assert observer.observe(HELD)["state"] == "present"
    Path(box.path("/var/lib/dpkg/status")).unlink()
    assert observer.observe(HELD)["state"] == "present"
