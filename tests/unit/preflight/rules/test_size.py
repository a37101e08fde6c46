"""Cores, memory and the GPU's memory: each rule passing, short, and unable to say; general and by profile."""

from __future__ import annotations

import pytest

from provisioner.audit import Dimm
from provisioner.facts import Cpu, Gpu, Memory, Unknown
from provisioner.preflight.needs import GB, Needs
from tests.unit.preflight.cases import GIB, Row, ask, case, check

PLANNED = Needs(profile="autoglm", cores=4, memory_bytes=16 * GB, vram_bytes=24 * GB, gpu=True)


def cpu(cores: int | None) -> dict[str, object]:
    return {"cpu": Cpu("a processor", cores, cores)}


def ram(gib: float) -> dict[str, object]:
    return {"memory": Memory(int(gib * GIB))}


def gpu(gib: float | None, device: str = "0x2684") -> list[Gpu]:
    return [Gpu("0000:01:00.0", "0x10de", device, None, None if gib is None else int(gib * GIB))]


def unknown(what: str, why: str) -> dict[str, object]:
    return {"unknown": (Unknown(what, why),)}


GUEST = {"sight": {"virtualization": "kvm"}}
SLOT = "pci:0000:01:00.0"

ROWS = [
    Row("many", "cpu.cores", {"facts": cpu(16)}, "pass: There are 16 cores"),
    Row(
        "enough",
        "cpu.cores",
        {"facts": cpu(4)},
        "pass info: There are 4 cores; with 8 the processor would be less of a limit",
    ),
    Row(
        "few",
        "cpu.cores",
        {"facts": cpu(2)},
        "warn warning: There are 2 cores, and most models want at least 4 cores",
        actor="owner",
    ),
    Row(
        "one for a profile",
        "cpu.cores",
        {"facts": cpu(1), "needs": PLANNED},
        "fail blocking: There is 1 core, and autoglm needs 4 cores",
    ),
    Row(
        "few in a guest",
        "cpu.cores",
        {"facts": cpu(2), **GUEST},
        "warn warning: There are 2 cores, and most models want at least 4 cores",
        actor="host",
    ),
    Row(
        "unread",
        "cpu.cores",
        {"facts": unknown("cpu", "/proc/cpuinfo: no such file")},
        "unknown: The number of cores: /proc/cpuinfo: no such file",
    ),
    Row("large", "memory.size", {"facts": ram(62.7)}, "pass: There is 67 GB of memory"),
    Row(
        "16 GB show as less",
        "memory.size",
        {"facts": ram(13.5)},
        "pass info: There is 14 GB of memory; 32 GB leave room for larger models and their files",
    ),
    Row(
        "small",
        "memory.size",
        {"facts": ram(7.7)},
        "warn warning: There is 8.3 GB of memory, and most models want at least 16 GB",
        actor="owner",
    ),
    Row(
        "small for a profile",
        "memory.size",
        {"facts": ram(7.7), "needs": PLANNED},
        "fail blocking: There is 8.3 GB of memory, and autoglm needs 16 GB",
    ),
    Row(
        "WSL",
        "memory.size",
        {"facts": ram(7.7), "os": {"wsl": True}},
        "warn warning: There is 8.3 GB of memory in WSL2, which by default gets half of the machine's, "
        "and most models want at least 16 GB",
        actor="host",
    ),
    Row(
        "half of what is built in",
        "memory.size",
        {"facts": ram(31), "ram": {"dimms": (Dimm("A1", 32 * GIB), Dimm("B1", 32 * GIB))}},
        "warn warning likely: Of 69 GB of memory that is built in, the system has 33 GB",
        actor="owner",
    ),
    Row(
        "unread",
        "memory.size",
        {},
        "unknown: The size of the memory: the probe did not say it",
    ),
    Row(
        "told by the driver",
        "gpu.vram",
        {"gpus": gpu(24)},
        f"pass {SLOT}: The GeForce RTX 4090 has 26 GB of memory",
    ),
    Row(
        "by its model",
        "gpu.vram",
        {"gpus": gpu(None)},
        f"pass likely {SLOT}: The GeForce RTX 4090 has 26 GB of memory, as cards of that model have",
    ),
    Row(
        "small",
        "gpu.vram",
        {"gpus": gpu(4)},
        f"warn warning {SLOT}: The GeForce RTX 4090 has 4.3 GB of memory, "
        "and most models want at least 8.0 GB",
        actor="owner",
    ),
    Row(
        "small for a profile by its model",
        "gpu.vram",
        {"gpus": gpu(None, "0x1f02"), "needs": PLANNED},
        f"fail blocking likely {SLOT}: The GeForce RTX 2070 has 8.6 GB of memory, "
        "as cards of that model have, and autoglm needs 24 GB",
    ),
    Row(
        "the larger of two",
        "gpu.vram",
        {"gpus": [Gpu("0000:02:00.0", "0x10de", "0x1f02", None, 8 * GIB), *gpu(24)], "needs": PLANNED},
        f"pass {SLOT}: The GeForce RTX 4090 has 26 GB of memory",
    ),
    Row(
        "a card nobody knows",
        "gpu.vram",
        {"gpus": gpu(None, "0xffff"), "facts": unknown("gpus.memory_bytes", "no NVML: libnvidia-ml.so.1")},
        f"unknown {SLOT}: How much memory the GPU has: no NVML: libnvidia-ml.so.1",
    ),
    Row(
        "none",
        "gpu.vram",
        {},
        "pass info: There is no NVIDIA GPU: models run on the processor",
    ),
    Row(
        "none for a profile",
        "gpu.vram",
        {"needs": PLANNED},
        "fail blocking: There is no NVIDIA GPU, and autoglm needs one with 24 GB of memory",
        actor="owner",
    ),
    Row(
        "unread",
        "gpu.vram",
        {"facts": unknown("gpus", "/sys: permission denied")},
        "unknown: Whether there is an NVIDIA GPU: /sys: permission denied",
    ),
    Row(
        "a device unread, which may be one",
        "gpu.vram",
        {"facts": unknown("gpus.0000:01:00.0", "vendor: permission denied"), "needs": PLANNED},
        "unknown: Whether there is an NVIDIA GPU: vendor: permission denied",
    ),
    Row(
        "what a card can do unread, and there is none",
        "gpu.vram",
        {"facts": unknown("gpus.0000:01:00.0.capability", "no NVML")},
        "pass info: There is no NVIDIA GPU: models run on the processor",
    ),
    Row(
        "not asked of a model on the processor", "gpu.vram", {"needs": Needs(profile="small", gpu=False)}, ()
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_machine_is_large_enough(row: Row) -> None:
    check(row)


def test_wsl_is_made_larger_on_the_windows_side() -> None:
    (found,) = ask("memory.size", case(facts=ram(7.7), os={"wsl": True}))
    assert found.remedy is not None
    assert found.remedy.steps == (
        "On the Windows side, set `memory=` under [wsl2] in %UserProfile%\\.wslconfig.",
        "`wsl --shutdown` in Windows, and start again.",
    )


@pytest.mark.parametrize(
    ("container", "step"),
    [
        (
            "docker",
            "Run the container on a machine with more processors: a container gets no more than that has.",
        ),
        ("lxc", "Raise the container's limit, or run it on a machine with more processors."),
    ],
)
def test_a_container_sees_the_cores_of_the_machine_around_it(container: str, step: str) -> None:
    (found,) = ask("cpu.cores", case(facts={"cpu": Cpu(cores=2)}, os={"container": container}))
    assert found.remedy is not None
    assert (found.remedy.actor, found.remedy.steps) == ("host", (step,))
