"""What the profile's model needs of the machine itself: cores, memory, disk, and memory of the GPU."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.compat.rules import gpus
from provisioner.compat.rules.budget import vram_wanted
from provisioner.compat.rules.case import Case, gigabytes, seen
from provisioner.compat.rules.systems import never
from provisioner.compat.smaller import MEMORY_TOLERANCE
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.facts import SYSTEM_PLACES


def rules(case: Case) -> Iterator[Constraint]:
    """What the machine must have."""
    yield from _gpu(case)
    needs, box, name = case.ask.profile.requires, case.box, case.ask.profile.name
    if box.cores is not None:
        yield _enough(
            case,
            box.cores >= needs.cores,
            seen("cpu.cores", f"{_cores(box.cores)} here", "a machine with more cores"),
            "cores",
            f"{name} needs {_cores(needs.cores)}",
        )
    if box.memory_bytes is not None and needs.memory_bytes:
        yield _enough(
            case,
            box.memory_bytes >= needs.memory_bytes * MEMORY_TOLERANCE,
            seen("memory", f"{gigabytes(box.memory_bytes)} of memory here", "a machine with more memory"),
            "memory",
            f"{name} needs {gigabytes(needs.memory_bytes)} of memory",
        )
    yield from _disk(case)


def _gpu(case: Case) -> Iterator[Constraint]:
    box, needs = case.box, case.ask.profile.requires
    if box.gpus is None:
        return
    if not box.gpus:
        wants = [case.gpu_wanted] if case.gpu_route else []
        wants += [case.gpu_required] if case.ask.require_gpu else []
        for fact in wants:
            yield Constraint((gpus.none_here(), fact), (), never)
        return
    # One whose size nobody knows may be the largest.
    if not (case.gpu_route and needs.vram_bytes) or any(one.memory_bytes is None for one in box.gpus):
        return
    if box.largest is not None and box.largest.memory_bytes is not None:
        yield _enough(
            case,
            box.largest.memory_bytes >= needs.vram_bytes,
            gpus.memory_of(box.largest, vram_wanted(case)),
            "vram",
            f"{case.ask.profile.name} needs {gigabytes(needs.vram_bytes)} of VRAM",
        )


def _disk(case: Case) -> Iterator[Constraint]:
    """Room for the weights and for the environment, unless the weights are there, or were begun: then part of
    the room is theirs already, and the job itself knows how many bytes are missing.
    """
    scope = case.scope
    facts, needs = case.box.facts, case.ask.profile.requires.disk_bytes
    if facts.receipt("model_weights", scope) is not None or "model_weights" in facts.pending:
        return
    places = facts.places.get(scope, SYSTEM_PLACES)
    for what, place, need in (("state", places.state, needs), ("code", places.code, needs // 2)):
        disk = facts.disks.get(place)
        if disk is None or not need:
            continue
        here = seen(
            f"disks.{what}", f"{gigabytes(disk.free_bytes)} free for {place}", f"free some space for {place}"
        )
        text = f"{case.ask.profile.name} needs {gigabytes(need)} of disk there"
        wanted = case.of_profile(f"disk.{what}", text)
        yield Constraint((here, wanted), (), always if disk.free_bytes >= need else never)


def _enough(case: Case, fine: bool, here: Fact, what: str, text: str) -> Constraint:
    return Constraint((here, case.of_profile(what, text)), (), always if fine else never)


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"
