"""What the profile needs of the machine: cores, memory, disk, memory of the GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.facts import Receipt

from .asking import CPU_PROFILE, GPU_PROFILE, ON_ARM, ask, box, chains, conflict, decision

ON_CPU = "gemma3-270m-transformers"


@pytest.mark.parametrize(
    ("profile", "words", "told"),
    [
        (ON_CPU, {"cores": 1}, ["1 core here", f"{ON_CPU} needs 2 cores"]),
        (ON_CPU, {"memory": "3500MB"}, ["3.5 GB of memory here", f"{ON_CPU} needs 4.0 GB of memory"]),
        (
            ON_CPU,
            {"disk": "4GB"},
            ["4.0 GB free for /var/lib/provisioner", f"{ON_CPU} needs 5.0 GB of disk there"],
        ),
        (
            GPU_PROFILE,
            {"gpu": "RTX 4060", "driver": "580.95.05"},
            ["the largest GPU here, RTX 4060, has 8.6 GB of VRAM", f"{GPU_PROFILE} needs 24 GB of VRAM"],
        ),
        (
            GPU_PROFILE,
            {"gpu": "none", "driver": None},
            ["no NVIDIA GPU found", f"{GPU_PROFILE} runs on an NVIDIA GPU"],
        ),
    ],
)
def test_too_small(profile: str, words: dict[str, Any], told: list[str]) -> None:
    assert [one.split(" → ") for one in chains(box(**words), ask(profile))] == [told]


@pytest.mark.parametrize(
    "words",
    [
        # A machine of 4 GB reports less: nine tenths will do.
        {"memory": "3600MB"},
        {"cores": 2},
        {"disk": "5GB"},
        # What is not known constrains nothing.
        {"memory": None, "cores": None, "disk": None},
    ],
)
def test_enough(words: dict[str, Any]) -> None:
    assert decision(box(**words), ask(ON_CPU)).route("environment").action == "install"


def test_weights_that_were_begun_have_part_of_their_room_already() -> None:
    """An interrupted download on a disk that is now too small for all of it goes on: its job counts bytes."""
    where = box(disk="4GB")
    assert chains(where, ask(ON_CPU))
    begun = replace(where, facts=replace(where.facts, pending=("model_weights",)))
    assert decision(begun, ask(ON_CPU)).scope == "system"


def test_half_of_the_disk_is_for_the_environment() -> None:
    where = box(disk="4GB")
    disks = dict(where.facts.disks)
    disks["/var/lib/provisioner"] = replace(disks["/var/lib/provisioner"], free_bytes=10**12)
    assert decision(replace(where, facts=replace(where.facts, disks=disks)), ask(ON_CPU)).notes == ()
    disks["/opt/provisioner"] = replace(disks["/opt/provisioner"], free_bytes=2_000_000_000)
    told = chains(replace(where, facts=replace(where.facts, disks=disks)), ask(ON_CPU))
    assert told == [f"2.0 GB free for /opt/provisioner → {ON_CPU} needs 2.5 GB of disk there"]


def test_weights_that_are_there_need_no_room() -> None:
    where = box(disk="1GB")
    there = Receipt("system", "model_weights", "/r")
    assert (
        decision(replace(where, facts=replace(where.facts, receipts=(there,))), ask(ON_CPU)).scope == "system"
    )
    elsewhere = replace(there, scope="user")
    assert chains(replace(where, facts=replace(where.facts, receipts=(elsewhere,))), ask(ON_CPU))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"gpu": "none", "driver": None}, ["no NVIDIA GPU found", "--require-gpu"]),
        ({"root": False}, None),
    ],
)
def test_a_gpu_may_be_required_on_any_route(words: dict[str, Any], told: list[str] | None) -> None:
    found = [one.split(" → ") for one in chains(box(**words), ask(CPU_PROFILE, require_gpu=True))]
    if told is None:
        assert [one for one in found[0] if one in ("no NVIDIA driver is loaded", "--require-gpu")] == [
            "no NVIDIA driver is loaded", "--require-gpu",
        ]  # fmt: skip
    else:
        assert found == [told]


@pytest.mark.parametrize(
    ("words", "profile", "changes"),
    [
        # Only a profile that would be possible there is offered.
        ({"gpu": "RTX 4060", "driver": "580.95.05"}, GPU_PROFILE, [
            f"take --profile {ON_CPU}, which runs on the CPU", "a GPU with 24 GB of VRAM",
        ]),
        ({"gpu": "RTX 3060", "driver": "580.95.05"}, GPU_PROFILE, [
            "take --profile autoglm-phone-9b-nf4, which needs less", "a GPU with 24 GB of VRAM",
        ]),
        ({"cores": 1}, ON_CPU, [
            f"take --profile {CPU_PROFILE}, which runs on the CPU", "a machine with more cores",
        ]),
        ({"memory": "500MB"}, CPU_PROFILE, ["a machine with more memory"]),
    ],
)  # fmt: skip
def test_what_would_help(words: dict[str, Any], profile: str, changes: list[str]) -> None:
    where, wanted = box(**words), ask(profile)
    assert list(conflict(where, wanted).changes) == changes


def test_unified_memory_is_the_machines() -> None:
    words: dict[str, Any] = {"gpu": "GB10", "arch": "aarch64", "os": "ubuntu24.04"}
    assert decision(box(**words, memory="128GB"), ask(overrides=ON_ARM)).route("driver").action == "install"
    assert chains(box(**words, memory="20GB"), ask(overrides=ON_ARM)) == [
        f"the GPU here, GB10, shares the 20 GB of the machine → {GPU_PROFILE} needs 24 GB of VRAM",
    ]
