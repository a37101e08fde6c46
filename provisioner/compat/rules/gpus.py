"""What is told of a GPU: that it is there, and its compute capability."""

from __future__ import annotations

from functools import cache

from provisioner.compat import knowledge
from provisioner.compat.box import Device
from provisioner.compat.rules.case import gigabytes, known, seen
from provisioner.compat.solver import Fact


def here(device: Device) -> Fact:
    """That it is there."""
    count = f"{device.count} × " if device.count > 1 else ""
    return seen(
        f"gpu.{device.name}",
        f"{count}{device.name} here",
        f"a GPU other than {device.name}",
        f"gpu.{device.name}",
    )


def none_here() -> Fact:
    """That there is none."""
    return seen("gpu.none", "no NVIDIA GPU found", "a machine with an NVIDIA GPU")


def memory_of(largest: Device, wanted: int) -> Fact:
    """How much memory the largest GPU has, where so much is wanted."""
    size, change = gigabytes(largest.memory_bytes or 0), f"a GPU with {gigabytes(wanted)} of VRAM"
    text = f"the largest GPU here, {largest.name}, has {size} of VRAM"
    if largest.entry is not None and largest.entry.unified:
        text = f"the GPU here, {largest.name}, shares the {size} of the machine"
    return seen("gpu.memory", text, change, f"gpu.{largest.name}")


def is_of(device: Device) -> tuple[Fact, ...]:
    """Which compute capability it has; empty where that is not known."""
    if device.capability is None:
        return ()
    capability = capability_of(device)
    generation = f" ({capability.architecture})" if capability else ""
    text = f"{device.name} is {sm(device.capability)}{generation}"
    entry = device.entry
    if entry is None or entry.capability != device.capability:
        return (here(device), seen(f"gpu.{device.name}.capability", text, subject=f"gpu.{device.name}"))
    return (here(device), known(f"gpus.{entry.name}.capability", text, entry))


def capability_of(device: Device) -> knowledge.Capability | None:
    """What is known of its compute capability."""
    return _capabilities().get(device.capability or "")


def architecture_of(device: Device) -> knowledge.Architecture | None:
    """What is known of its generation."""
    capability = capability_of(device)
    return _architectures().get(capability.architecture) if capability else None


def sm(capability: str) -> str:
    """A compute capability as binaries name it: sm_89."""
    return f"sm_{capability.replace('.', '')}"


@cache
def _capabilities() -> dict[str, knowledge.Capability]:
    return {entry.capability: entry for entry in knowledge.capabilities()}


@cache
def _architectures() -> dict[str, knowledge.Architecture]:
    return {entry.name: entry for entry in knowledge.architectures()}
