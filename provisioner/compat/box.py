"""What the plan needs to know of a machine: its facts, joined with what is known of its parts.

None, and "" for a word, is not known, and constrains nothing; `unknown` names those that a plan depends on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from provisioner.compat import knowledge
from provisioner.facts import Facts, Gpu
from provisioner.sizing.model import Machine

_NOISE = re.compile(r"nvidia|geforce|[^a-z0-9.]")
# What a plan says it could not check, by the name that the probe has for it.
_MATTERS = {
    "os": "the system",
    "os.arch": "the architecture",
    "os.kernel": "the kernel",
    "os.libc": "the C library",
    "os.secure_boot": "whether Secure Boot is on",
    "python": "its own Python",
    "gpus": "the GPUs",
    "driver_version": "whether an NVIDIA driver is loaded",
    "cpu": "the number of cores",
    "memory": "the memory",
    "disks": "the free disk space",
}


@dataclass(frozen=True)
class Device:
    """GPUs of one model: `name` as people say it, `memory_bytes` of the largest."""

    name: str
    count: int
    capability: str | None
    memory_bytes: int | None
    entry: knowledge.Gpu | None


@dataclass(frozen=True)
class Box:
    """One machine. `gpus` is None where nobody could look; `driver` the version that is loaded, with
    `driver_known` False where that could not be read, and `driver_begun` True where a change of it was
    begun and never finished, so that what is loaded says nothing of what is installed; `memory_bytes` what a
    process may use of the memory.
    """

    name: str
    system: knowledge.System | None
    arch: str
    kernel: str
    libc: str
    glibc: str | None
    python: str | None
    user: str
    root: bool
    wsl: bool
    container: str | None
    secure_boot: bool | None
    gpus: tuple[Device, ...] | None
    driver: str | None
    driver_known: bool
    driver_begun: bool
    cores: int | None
    memory_bytes: int | None
    facts: Facts
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def largest(self) -> Device | None:
        """The GPU with the most memory."""
        return max(self.gpus or (), key=lambda device: device.memory_bytes or 0, default=None)

    @property
    def machine(self) -> Machine:
        """The same, as far as a model's memory goes."""
        device = self.largest
        entry = device.entry if device else None
        return Machine(
            ram_bytes=self.memory_bytes,
            vram_bytes=device.memory_bytes if device else None if self.gpus is None else 0,
            gpus=device.count if device else 0,
            capability=device.capability if device else None,
            ram_bandwidth=entry.memory_bandwidth if entry and entry.unified else None,
            vram_bandwidth=entry.memory_bandwidth if entry else None,
            link_bandwidth=entry.link_bandwidth if entry else None,
            unified=entry.unified if entry else False,
            cores=self.cores,
        )


def box_from(facts: Facts) -> Box:
    """What `facts` say, and what is known of the system and the GPUs that they name."""
    system = system_of(facts)
    os = facts.os
    missing = {entry.what for entry in facts.unknown}
    begun = "nvidia_driver" in facts.pending
    known_libc = os.libc or ("glibc" if system and system.glibc else "")
    return Box(
        name=os.pretty or " ".join(filter(None, (os.id, os.version_id))) or "this system",
        system=system,
        arch=os.arch,
        kernel=os.kernel or (system.kernel if system else ""),
        libc=known_libc,
        glibc=(os.libc_version or None) if os.libc else system.glibc if system else None,
        python=facts.python.version if facts.python else None,
        user=facts.user.name or "this user",
        root=facts.privilege == "root",
        wsl=bool(os.wsl),
        container=os.container,
        secure_boot=os.secure_boot,
        gpus=None if "gpus" in missing and not facts.gpus else _devices(facts),
        driver=None if begun else facts.driver_version,
        driver_known=begun or facts.driver_version is not None or "driver_version" not in missing,
        driver_begun=begun,
        cores=facts.cpu.cores,
        memory_bytes=usable_memory(facts),
        facts=facts,
        unknown={what: said for what, said in _MATTERS.items() if what in missing},
    )


def usable_memory(facts: Facts) -> int | None:
    """Bytes of memory that a process there may use: all of it, or the control group's limit."""
    known = [count for count in (facts.memory.total_bytes, facts.memory.limit_bytes) if count is not None]
    return min(known, default=None)


def largest_vram(facts: Facts) -> int:
    """Bytes of the GPU with the most memory; 0 without one, or where none is known."""
    return max((vram_bytes(facts, gpu) or 0 for gpu in facts.gpus), default=0)


def vram_bytes(facts: Facts, gpu: Gpu) -> int | None:
    """Bytes of memory of one GPU: what it reports, else its model's; the machine's where they share it."""
    if gpu.memory_bytes is not None:
        return gpu.memory_bytes
    entry = gpu_entry(gpu)
    if entry is not None and entry.unified:
        return usable_memory(facts)
    return entry.memory_bytes if entry else None


def gpu_entry(gpu: Gpu) -> knowledge.Gpu | None:
    """What is known of a GPU's model, by its name or else by its PCI device id."""
    by_name, by_id = _models()
    named = by_name.get(_key(gpu.name)) if gpu.name else None
    return named or (by_id.get(gpu.device.lower()) if gpu.device else None)


def system_of(facts: Facts) -> knowledge.System | None:
    """The known release that a machine runs: `version_id` may be a major version, for all of its releases."""
    for entry in knowledge.systems():
        same = facts.os.id in (entry.id, *entry.ids) and bool(facts.os.wsl) == entry.wsl
        if same and f"{facts.os.version_id}.".startswith(f"{entry.version_id}."):
            return entry
    return None


def _devices(facts: Facts) -> tuple[Device, ...]:
    found: dict[tuple[str, str | None], Device] = {}
    for gpu in facts.gpus:
        entry = gpu_entry(gpu)
        name = gpu.name or (entry.name if entry else f"NVIDIA {gpu.device}")
        name = name.removeprefix("NVIDIA ").removeprefix("GeForce ")
        capability = gpu.capability or (entry.capability if entry else None)
        before = found.get((name, capability))
        sizes = [vram_bytes(facts, gpu), before.memory_bytes if before else None]
        found[name, capability] = Device(
            name=name,
            count=before.count + 1 if before else 1,
            capability=capability,
            memory_bytes=max((size for size in sizes if size is not None), default=None),
            entry=entry,
        )
    return tuple(found.values())


@cache
def _models() -> tuple[dict[str, knowledge.Gpu], dict[str, knowledge.Gpu]]:
    by_name: dict[str, knowledge.Gpu] = {}
    by_id: dict[str, knowledge.Gpu] = {}
    for entry in knowledge.gpus():
        for name in (entry.name, *entry.aliases):
            by_name.setdefault(_key(name), entry)
        for device in entry.pci:
            by_id.setdefault(device.lower(), entry)
    return by_name, by_id


def _key(name: str) -> str:
    return _NOISE.sub("", name.lower())
