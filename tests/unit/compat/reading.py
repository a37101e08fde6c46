"""The data files, read as plain YAML, for `oracle` and `truths`: not by the package's own reading."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from packaging.version import Version

from provisioner.compat.decide import Ask
from provisioner.facts import Facts
from provisioner.yamlfile import load_yaml

Entry = dict[str, Any]


@cache
def data(name: str) -> list[Entry]:
    """The entries of one data file as they are written."""
    entries: list[Entry] = load_yaml(
        files("provisioner.compat").joinpath("data", f"{name}.yml").read_text("utf-8")
    )
    return entries


@cache
def number(text: str) -> Version:
    """The first digits and dots of a version, to compare."""
    digits = ""
    for character in str(text):
        if not (character.isdigit() or character == "."):
            break
        digits += character
    return Version(digits.strip("."))


def system_of(facts: Facts) -> Entry | None:
    """The system's entry."""
    for entry in data("systems"):
        same = facts.os.id in (entry["id"], *entry.get("ids", ()))
        same = same and entry.get("wsl", False) == bool(facts.os.wsl)
        wanted, have = str(entry["version_id"]).split("."), facts.os.version_id.split(".")
        if same and have[: len(wanted)] == wanted:
            return entry
    return None


def gpu_entries(facts: Facts) -> list[tuple[Entry | None, str | None]]:
    """Each GPU's entry, and its compute capability, None where they are not known."""
    found: list[tuple[Entry | None, str | None]] = []
    for gpu in facts.gpus:
        name = (gpu.name or "").removeprefix("NVIDIA ")
        entry = next((one for one in data("gpus") if one["name"] == name), None) or next(
            (one for one in data("gpus") if gpu.device and gpu.device in one.get("pci", ())), None
        )
        found.append((entry, gpu.capability or (entry["capability"] if entry else None)))
    return found


def capability_entry(name: str | None) -> Entry | None:
    """What is known of a compute capability."""
    return next((one for one in data("capabilities") if one["capability"] == name), None)


def architecture_of(capability: str | None) -> Entry | None:
    """The generation of a compute capability."""
    known = capability_entry(capability)
    return next(
        (one for one in data("architectures") if known and one["name"] == known["architecture"]), None
    )


def toolkit_entry(cuda: str) -> Entry:
    """What is known of a toolkit."""
    return next(one for one in data("toolkits") if one["cuda"] == cuda)


def stack_of(ask: Ask) -> Entry | None:
    """The stack of the profile's lock."""
    return next((one for one in data("stacks") if one.get("lock") == ask.profile.environment.lock), None)


def wheels_of(ask: Ask, arch: str = "") -> list[list[Entry]]:
    """For each wheel of the profile's stack, the entries of that version: it may have one an architecture."""
    stack = stack_of(ask)
    found = []
    for pinned in stack["wheels"] if stack else ():
        package, _, version = pinned.partition("==")
        same = [one for one in data("wheels") if one["package"] == package and one["version"] == version]
        found.append([one for one in same if not arch or arch in one.get("arches", ("x86_64",))])
    return found


def on_gpu(ask: Ask) -> bool:
    """Whether the model runs on a GPU."""
    stack = stack_of(ask)
    return ask.profile.requires.vram_bytes > 0 or (stack is not None and stack["device"] == "cuda")


@cache
def locks() -> list[Entry]:
    """Which platforms each lock serves."""
    found: list[Entry] = load_yaml(
        files("provisioner.profiles").joinpath("locks/locks.yml").read_text("utf-8")
    )
    return found


def capabilities_of(wheel: Entry, arch: str) -> list[str]:
    """What a wheel has code for: that for Arm may have other."""
    special = wheel.get("capabilities_by_arch", {})
    return [str(one) for one in special.get(arch, wheel.get("capabilities", ()))]


@cache
def unserved() -> list[Entry]:
    """The systems that no run with root can serve."""
    return data("unserved")


def vram(facts: Facts) -> Iterator[int | None]:
    """Bytes of memory of each GPU."""
    for gpu, (entry, _) in zip(facts.gpus, gpu_entries(facts), strict=True):
        if gpu.memory_bytes is not None:
            yield gpu.memory_bytes
        elif entry and entry.get("unified"):
            yield facts.memory.total_bytes
        else:
            yield entry["memory_bytes"] if entry else None


def repository_there(facts: Facts, route: str | None) -> bool:
    """Whether a way needs no repository of NVIDIA's, or there is one for the system."""
    system = system_of(facts)
    return not (route or "").startswith("nvidia-repository") or any(
        system is not None and system["name"] in one["systems"] and one["arch"] == facts.os.arch
        for one in data("repositories")
    )
