"""Whether the model itself fits: the bytes that its way of running takes, against the machine's."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.compat.rules import gpus
from provisioner.compat.rules.case import Case, asked, gigabytes, seen
from provisioner.compat.rules.systems import never
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.profiles import Profile
from provisioner.sizing.budgets import needs, rooms, settled
from provisioner.sizing.model import Shape, Way
from provisioner.sizing.plan import gpu_for, largest_context, named


def way_of(profile: Profile, *, gpu: bool) -> Way:
    """How a profile runs its model, as the memory planner says it."""
    return Way(
        runtime=profile.runtime,
        device="cuda" if gpu else "cpu",
        quantization=profile.smoke.quantization,
        dtype=profile.smoke.dtype,
    )


def vram_wanted(case: Case) -> int:
    """Bytes of VRAM that a GPU must have: for the profile's minimum, and for what the model takes."""
    shape, minimum = case.ask.shape, case.ask.profile.requires.vram_bytes
    if shape is None:
        return minimum
    return max(minimum, gpu_for(shape, way_of(case.ask.profile, gpu=True), case.ask.load))


def rules(case: Case) -> Iterator[Constraint]:
    """Memory of the GPU and of the machine, where the model's shape is known."""
    shape, load = case.ask.shape, case.ask.load
    if shape is None or (case.gpu_route and not case.box.gpus):
        return
    machine = case.box.machine
    way = settled(shape, way_of(case.ask.profile, gpu=case.gpu_route), load, machine)
    vram, ram = needs(shape, way, load)
    if machine.unified and case.gpu_route:
        vram, ram = 0, vram + ram
    vram_room, ram_room = rooms(way, vram, ram, machine)
    if vram_room is not None and case.box.largest is not None:
        yield _fits(
            case,
            shape,
            way,
            vram,
            "VRAM",
            gpus.memory_of(case.box.largest, vram_wanted(case)),
            fine=vram_room >= 0,
        )
    if ram_room is not None:
        here = seen(
            "memory", f"{gigabytes(machine.ram_bytes or 0)} of memory here", "a machine with more memory"
        )
        yield _fits(case, shape, way, ram, "memory", here, fine=ram_room >= 0)


def _fits(case: Case, shape: Shape, way: Way, count: int, of: str, here: Fact, *, fine: bool) -> Constraint:
    load = case.ask.load
    many = f"{load.batch} × " if load.batch > 1 else ""
    change = ""
    if not fine:
        most = largest_context(shape, way, case.box.machine, load.batch)
        change = f"ask for at most {most} tokens of context" if most else ""
    size = asked("request.load", f"{many}{load.context} tokens of context", change)
    model = case.of_profile("model", f"{case.ask.profile.name} runs {shape.name} with {named(way)}")
    takes = Fact(
        f"sizing.{of}",
        f"that takes {gigabytes(count)} of {of} with {many}{load.context} tokens of context",
        "data",
        shape.source,
        shape.confidence,
    )
    return Constraint((here, takes, model, size), (), always if fine else never)
