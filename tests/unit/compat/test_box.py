"""Facts joined with what is known of their parts."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.compat.box import Device, box_from, gpu_entry, largest_vram, system_of, usable_memory
from provisioner.facts import Facts, Gpu

from .test_plan import GPU_24, facts

GB = 1_000_000_000


def gpu(name: str | None, device: str = "", memory: int | None = None) -> dict[str, Any]:
    return {"address": "0", "vendor": "0x10de", "device": device, "name": name, "memory_bytes": memory}


@pytest.mark.parametrize(
    ("os", "wanted"),
    [
        ({"id": "debian", "version_id": "12"}, "debian12"),
        ({"id": "rocky", "version_id": "9.4"}, "el9"),
        ({"id": "rhel", "version_id": "8.10"}, "el8"),
        ({"id": "ubuntu", "version_id": "24.04"}, "ubuntu24.04"),
        ({"id": "ubuntu", "version_id": "24.04", "wsl": True}, "wsl-ubuntu24.04"),
        # A release that only begins with the same digits is another one.
        ({"id": "debian", "version_id": "1"}, None),
        ({"id": "rhel", "version_id": "90"}, None),
        ({"id": "arch", "version_id": ""}, None),
        ({"id": "debian", "version_id": "12", "wsl": True}, "wsl-debian12"),
        ({"id": "ubuntu", "version_id": "20.04", "wsl": True}, None),
    ],
)
def test_the_system_is_matched_by_its_id_and_release(os: dict[str, Any], wanted: str | None) -> None:
    entry = system_of(facts(os=os))
    assert (entry.name if entry else None) == wanted


@pytest.mark.parametrize(
    ("name", "device", "wanted"),
    [
        ("NVIDIA GeForce RTX 4090", "", "GeForce RTX 4090"),
        ("RTX 4090", "", "GeForce RTX 4090"),
        (None, "0x2684", "GeForce RTX 4090"),
        (None, "0x2B85", "GeForce RTX 5090"),
        # What it says of itself counts more than its device id.
        ("NVIDIA GeForce RTX 5090", "0x2684", "GeForce RTX 5090"),
        ("NVIDIA Something New", "0xffff", None),
        (None, "", None),
    ],
)
def test_a_gpu_is_matched_by_its_name_or_else_its_device_id(
    name: str | None, device: str, wanted: str | None
) -> None:
    entry = gpu_entry(Gpu("0", "0x10de", device, name))
    assert (entry.name if entry else None) == wanted


@pytest.mark.parametrize(
    ("memory", "wanted"),
    [
        ({"total_bytes": 32 * GB, "limit_bytes": 8 * GB}, 8 * GB),
        ({"total_bytes": 32 * GB}, 32 * GB),
        ({}, None),
    ],
)
def test_usable_memory_is_the_smallest_limit(memory: dict[str, int], wanted: int | None) -> None:
    assert usable_memory(facts(memory=memory)) == wanted


@pytest.mark.parametrize(
    ("gpus", "wanted"),
    [
        ([], 0),
        ([gpu("RTX 4090", memory=24 * GB), gpu("RTX 3060", memory=12 * GB)], 24 * GB),
        # Not reported, but known of the model; or shared with the machine, and so the machine's.
        ([gpu("NVIDIA GeForce RTX 4090")], 25_757_220_864),
        ([gpu("NVIDIA GB10")], 33 * GB),
        ([gpu("NVIDIA Something New")], 0),
    ],
)
def test_the_memory_of_the_largest_gpu(gpus: list[dict[str, Any]], wanted: int) -> None:
    assert largest_vram(facts(gpus=gpus)) == wanted


def test_gpus_of_one_model_are_counted_and_the_largest_is_found() -> None:
    small = gpu("NVIDIA GeForce RTX 3060", memory=12 * GB)
    box = box_from(facts(gpus=[small, GPU_24, small]))
    assert box.gpus is not None
    assert [(one.name, one.count, one.memory_bytes) for one in box.gpus] == [
        ("RTX 3060", 2, 12 * GB),
        ("RTX 4090", 1, GPU_24["memory_bytes"]),
    ]
    assert box.largest is box.gpus[1]
    machine = box.machine
    assert (machine.vram_bytes, machine.gpus, machine.capability) == (GPU_24["memory_bytes"], 1, "8.9")
    assert (machine.ram_bytes, machine.cores, machine.unified) == (33 * GB, 8, False)
    assert machine.vram_bandwidth == 1_008_000_000_000


def test_what_a_gpu_reports_counts_more_than_what_is_known_of_its_model() -> None:
    told = gpu("NVIDIA GeForce RTX 4090", memory=48 * GB) | {"capability": "9.9"}
    box = box_from(facts(gpus=[told]))
    assert box.gpus is not None
    assert box.gpus[0] == Device("RTX 4090", 1, "9.9", 48 * GB, box.gpus[0].entry)


def test_a_box_that_nobody_could_look_at_is_unknown_not_empty() -> None:
    box = box_from(
        Facts.decode({"schema": 1, "os": {"id": "centos", "version_id": "7"}, "uid": 0, "python": None})
    )
    assert box.gpus is None
    assert box.machine.vram_bytes is None
    assert (box.libc, box.glibc) == ("glibc", "2.17"), "known of the system"
    assert list(box.unknown.values()) == [
        "the GPUs", "the number of cores", "the memory", "the free disk space",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "driver", "known"),
    [
        ({"driver_version": "550.54.14"}, "550.54.14", True),
        ({}, None, True),
        ({"unknown": [{"what": "driver_version", "why": "EACCES"}]}, None, False),
    ],
)
def test_no_driver_is_told_from_a_driver_nobody_could_read(
    changes: dict[str, Any], driver: str | None, known: bool
) -> None:
    box = box_from(facts(**changes))
    assert (box.driver, box.driver_known) == (driver, known)


def test_musl_is_no_glibc() -> None:
    box = box_from(facts(os={"id": "alpine", "version_id": "3.20", "libc": "musl"}))
    assert (box.libc, box.glibc) == ("musl", None)
