from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.box import Box
from provisioner.target.probe.gpus import gpus, parse_version

Plant = Callable[..., Path]

CLOSED = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""
OPEN = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (root@x)
GCC version:
"""
INFORMATION = "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ: 1\n"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (CLOSED, "550.54.15"),
        (OPEN, "570.86.15"),
        ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  535.104  Fri\n", "535.104"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550\n", None),
        ("GCC version:  gcc version 12.2.0\n", None),
        ("", None),
    ],
)
def test_versions_of_the_driver(text: str, version: str | None) -> None:
    assert parse_version(text) == version


@given(st.text())
def test_any_text_has_a_version_or_none(text: str) -> None:
    version = parse_version(text)
    assert version is None or version in text


@given(st.from_regex(r"[0-9]{3}\.[0-9]{2,3}(\.[0-9]{2})?", fullmatch=True))
def test_a_written_version_is_found(version: str) -> None:
    assert (
        parse_version(f"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  {version}  Release\n")
        == version
    )


def pci(address: str, vendor: str, kind: str, device: str) -> dict[str, str]:
    folder = f"/sys/bus/pci/devices/{address}"
    return {
        f"{folder}/vendor": vendor + "\n",
        f"{folder}/class": kind + "\n",
        f"{folder}/device": device + "\n",
    }


RTX, HOPPER = "0000:01:00.0", "0000:c1:00.0"
BUS = {
    **pci(HOPPER, "0x10de", "0x030200", "0x2335"),
    **pci(RTX, "0x10de", "0x030000", "0x2684"),
    **pci("0000:01:00.1", "0x10de", "0x040300", "0x22ba"),
    **pci("0000:00:02.0", "0x8086", "0x030000", "0x4680"),
}


def test_gpus_of_an_emulated_bus_without_a_driver(plant: Plant) -> None:
    box = Box(str(plant({**BUS, f"/sys/bus/pci/devices/{RTX}/driver": "-> ../../../drivers/nouveau"})))
    blank = {"vendor": "0x10de", "name": None, "memory_bytes": None, "capability": None}
    assert gpus(box, wsl=False) == (
        [
            {"address": RTX, "device": "0x2684", "driver": "nouveau", **blank},
            {"address": HOPPER, "device": "0x2335", "driver": None, **blank},
        ],
        None,
    )
    assert box.unknown == []


def test_gpus_of_an_emulated_bus_with_a_driver(plant: Plant) -> None:
    box = Box(
        str(
            plant(
                {
                    **pci(RTX, "0x10de", "0x030000", "0x2684"),
                    f"/sys/bus/pci/devices/{RTX}/driver": "-> ../../../drivers/nvidia",
                    "/proc/driver/nvidia/version": CLOSED,
                    f"/proc/driver/nvidia/gpus/{RTX}/information": INFORMATION,
                }
            )
        )
    )
    assert gpus(box, wsl=False) == (
        [
            {
                "address": RTX,
                "vendor": "0x10de",
                "device": "0x2684",
                "name": "NVIDIA GeForce RTX 4090",
                "memory_bytes": None,
                "capability": None,
                "driver": "nvidia",
            }
        ],
        "550.54.15",
    )
    assert box.unknown == []


@pytest.mark.parametrize(
    ("files", "unknown"),
    [
        ({"/sys/": ""}, []),
        ({}, [{"what": "gpus", "why": "/sys/bus/pci/devices: No such file or directory"}]),
        ({"/sys/bus/pci/devices/": ""}, []),
        (
            {"/sys/bus/pci/devices/0000:01:00.0/": ""},
            [
                {
                    "what": "gpus.0000:01:00.0",
                    "why": "/sys/bus/pci/devices/0000:01:00.0/vendor: No such file or directory",
                }
            ],
        ),
        (
            {"/sys/": "", "/proc/driver/nvidia/version": "?"},
            [{"what": "driver_version", "why": "/proc/driver/nvidia/version names no version"}],
        ),
    ],
)
def test_what_cannot_be_read_is_unknown(
    plant: Plant, files: dict[str, str], unknown: list[dict[str, str]]
) -> None:
    box = Box(str(plant(files)))
    assert gpus(box, wsl=False) == ([], None)
    assert box.unknown == unknown
