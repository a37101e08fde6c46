"""Whether the model itself fits: the bytes that its way of running takes, against the machine's."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.compat.rules import gpus
from provisioner.compat.rules.case import Case, asked, gigabytes, seen
from provisioner.compat.rules.systems import never
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.compat.ways import way_of
from provisioner.sizing.budgets import needs, rooms, settled
from provisioner.sizing.data import constant
from provisioner.sizing.model import Shape, Way
from provisioner.sizing.plan import gpu_for, largest_context, named
from provisioner.sizing.runtimes import size


def vram_wanted(case: Case) -> int:
    """Bytes of VRAM that a GPU must have: for the profile's minimum, and for what the model takes."""
    shape, minimum = case.ask.shape, case.ask.profile.requires.vram_bytes
    if shape is None:
        return minimum
    way = case.ask.way or way_of(case.ask.profile)
    return max(minimum, gpu_for(shape, way, case.ask.load))


def rules(case: Case) -> Iterator[Constraint]:
    """Memory of the GPU and of the machine, where the model's shape is known."""
    shape, load = case.ask.shape, case.ask.load
    if shape is None or (case.gpu_route and not case.box.gpus):
        return
    machine = case.box.machine
    way = settled(shape, case.ask.way or way_of(case.ask.profile), load, machine)
    vram, ram = needs(shape, way, load)
    if machine.unified and way.device == "cuda":
        vram, ram = 0, vram + ram
    vram_room, ram_room = rooms(way, vram, ram, machine)
    lacking = [room for room in (vram_room, ram_room) if room is not None and room < 0]
    asked_for = _asked_for(case, shape, way, fine=not lacking)
    if vram_room is not None and case.box.largest is not None:
        here = gpus.memory_of(case.box.largest, vram_wanted(case))
        facts = (here, _takes(case, shape, vram, "VRAM"), *asked_for)
        yield Constraint(facts, (), always if vram_room >= 0 else never)
    if ram_room is not None:
        size = gigabytes(machine.ram_bytes or 0)
        here = seen("memory", f"{size} of memory here", "a machine with more memory")
        facts = (here, _takes(case, shape, ram, "memory"), *asked_for)
        yield Constraint(facts, (), always if ram_room >= 0 else never)


def _asked_for(case: Case, shape: Shape, way: Way, *, fine: bool) -> tuple[Fact, Fact]:
    """Which model, run how, with how much context."""
    load, change = case.ask.load, ""
    if not fine:
        most = largest_context(shape, way, case.box.machine, load.batch)
        change = f"ask for at most {most} tokens of context" if most else ""
    model = case.of_profile("model", f"{case.ask.profile.name} runs {shape.name} with {named(way)}")
    return model, asked("request.load", _tokens(case), change)


def _takes(case: Case, shape: Shape, count: int, of: str) -> Fact:
    text = f"that takes {gigabytes(count)} of {of} with {_tokens(case)}"
    way = case.ask.way
    if of == "VRAM" and way is not None and way.runtime == "vllm":
        text += f", and vLLM leaves {1 - way.utilization:.0%} of it free"
    if of == "memory":
        text += f", beside {size(constant('machine', 'ram').nbytes)} of the system's own"
    return Fact(f"sizing.{of}", text, "data", shape.source, shape.confidence)


def _tokens(case: Case) -> str:
    load = case.ask.load
    many = f"{load.batch} × " if load.batch > 1 else ""
    return f"{many}{load.context} tokens of context"
