"""What will be on a box, by which route, and what fits in its memory: one answer for `plan` and for `up`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.compat.box import Box, box_from
from provisioner.compat.decide import Ask, Decision, decide
from provisioner.compat.rules.wheels import runs_on
from provisioner.compat.solver import Conflict, Fact, in_words
from provisioner.compat.ways import (
    RUNTIMES,
    Wish,
    base_for,
    environments,
    has_stack,
    of_wish,
    profile_of_model,
    shape_of,
    siblings,
    way_of,
)
from provisioner.errors import UsageError
from provisioner.facts import Facts
from provisioner.profiles import Profile, Requires, lockfiles
from provisioner.sizing.model import Answer, Load, Machine, Runtime, Shape, Variant, Verdict, Way
from provisioner.sizing.plan import answer, helped, named
from provisioner.sizing.runtimes import size

EVERY: tuple[Runtime, ...] = tuple(dict.fromkeys(RUNTIMES.values()))
_DOUBTFUL = {"memory": "were written down from memory", "unconfirmed": "are not confirmed"}
# Bytes; more than any model takes.
_PLENTY = 1 << 60


@dataclass(frozen=True)
class Outline:
    """The plan of one box: `decided` says what will be on it or why that is impossible, `answer` what fits in
    its memory (None: nothing is known of the model's shape).
    """

    facts: Facts
    box: Box
    ask: Ask
    decided: Decision | Conflict
    answer: Answer | None
    notes: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether it can be done; what is not known does not make it impossible."""
        return isinstance(self.decided, Decision)

    @property
    def chains(self) -> tuple[tuple[Fact, ...], ...]:
        """Why it is impossible: each chain alone is enough; none where it is possible."""
        return self.decided.chains if isinstance(self.decided, Conflict) else ()

    @property
    def changes(self) -> tuple[str, ...]:
        """What would make it possible, a sentence a way."""
        if not isinstance(self.decided, Conflict):
            return ()
        own, told = self.decided.changes, self.answer
        if told is None or told.best is None:
            return own
        other = told.best.way.runtime != told.chosen.way.runtime
        helps = all(_of_memory(chain) or (other and _of_code(chain)) for chain in self.chains)
        return (*own, *_other_way(told)) if helps else own


def _of_memory(chain: tuple[Fact, ...]) -> bool:
    return any(fact.id in ("gpu.memory", "memory") for fact in chain)


def _of_code(chain: tuple[Fact, ...]) -> bool:
    """Whether it is that these wheels have no code for the GPU: another runtime has others."""
    return any(fact.id.startswith("wheels.") and fact.id.endswith(".capabilities") for fact in chain)


def _other_way(answer: Answer) -> Iterator[str]:
    """The best way of running the model that fits, as options say it."""
    if answer.best is not None:
        way = answer.best.way
        kind = f" --quantization {way.quantization}" if way.quantization != "none" else ""
        room = answer.best.verdict.because.removesuffix(" left")
        yield f"say --runtime {way.runtime}{kind}: {named(way)} leaves {room}"


@dataclass(frozen=True)
class Terms:
    """What is asked for beside the model; `own_lock`: the environment was named, and no other is meant."""

    cuda: str | None = None
    require_gpu: bool = False
    upgrade: bool = False
    scope: Literal["auto", "system", "user"] = "auto"
    own_lock: bool = False
    branch: str | None = None
    driver_route: str | None = None
    toolkit_route: str | None = None
    modules: knowledge.Flavour | None = None
    without_gpu: bool = False

    def ask(self, profile: Profile, shape: Shape | None, load: Load, way: Way) -> Ask:
        """The question to the solver."""
        return Ask(
            profile=profile,
            cuda=self.cuda,
            require_gpu=self.require_gpu,
            load=load,
            upgrade=self.upgrade,
            shape=shape,
            way=way,
            scope=self.scope,
            driver=self.branch,
            driver_route=self.driver_route,
            toolkit_route=self.toolkit_route,
            modules=self.modules,
            without_gpu=self.without_gpu,
        )


def outline(facts: Facts, ask: Ask) -> Outline:
    """The decision and the memory answer for one box; pure. `ask.way` None: the best way is looked at."""
    box = box_from(facts)
    return _outlined(box, ask, decide(box, ask))


def _outlined(box: Box, ask: Ask, decided: Decision | Conflict) -> Outline:
    """With what the memory planner says beside what was decided."""
    told = None
    if ask.shape is not None:
        told = memory_of(ask.shape, box.machine, ask.load, ask.way, tuple(filter(serving(box), EVERY)))
    return Outline(box.facts, box, ask, decided, told, tuple(_notes(ask, told)))


def serving(box: Box) -> Callable[[Runtime], bool]:
    """Whether a runtime has wheels with code for the GPU of a box; one without wheels is built for any."""
    capability = box.largest.capability if box.largest else None
    wheels = {f"{wheel.package}=={wheel.version}": wheel for wheel in knowledge.wheels()}

    def serves(runtime: Runtime) -> bool:
        found = [
            [code for name in stack.wheels if name in wheels and (code := wheels[name].code_for(box.arch))]
            for stack in knowledge.stacks()
            if RUNTIMES[stack.runtime] == runtime and stack.device == "cuda"
        ]
        if capability is None or not found:
            return True
        return any(all(runs_on(code, capability) != "no" for code in codes) for codes in found)

    return serves


def memory_of(
    shape: Shape, machine: Machine, load: Load, way: Way | None, runtimes: tuple[Runtime, ...] = EVERY
) -> Answer:
    """What the memory planner says. Where the machine's own memory is not known, but its GPU's is, that alone
    is compared, and the verdicts say so.
    """
    blind = machine.ram_bytes is None and bool(machine.vram_bytes) and not machine.unified
    if not blind:
        return answer(shape, machine, load, way, runtimes)
    found = answer(shape, replace(machine, ram_bytes=_PLENTY), load, way, runtimes)
    seen = {id(variant): _by_vram(shape, variant) for variant in found.variants}
    return replace(
        found,
        chosen=seen[id(found.chosen)],
        best=next((one for one in seen.values() if one.verdict.fits), None),
        variants=tuple(seen[id(variant)] for variant in found.variants),
    )


def _by_vram(shape: Shape, variant: Variant) -> Variant:
    room = variant.verdict.vram_room
    if room is None or (room >= 0 and helped(shape, variant.way)):
        return replace(variant, verdict=Verdict(None, room, None, "the machine's memory is not known"))
    told = variant.verdict.because
    if room >= 0:
        told = f"{size(room)} of VRAM left; the machine's own memory is not known"
    return replace(variant, verdict=Verdict(variant.verdict.fits, room, None, told))


def of_profile(facts: Facts, profile: Profile, wish: Wish, terms: Terms) -> Outline:
    """The plan of a profile. Another way of running it than its own is judged by its bytes, not by the
    profile's minima. Raises UsageError for a wish that names nothing, and for a lock that is not there.
    """
    if wish.runtime is None and lockfiles.find(profile.environment.lock) is None:
        profiles.lock_text(profile.environment.lock)
    shape = shape_of(profile)
    if shape is not None and (wish.runtime or wish.quantization):
        profile = replace(profile, requires=Requires())
    if wish.runtime is not None:
        tries = environments(profile, wish.runtime, "cuda" if facts.gpus else "cpu")
    else:
        tries = [profile, *([] if terms.own_lock else siblings(profile))]
    asks = [terms.ask(one, shape, wish.load, way_of(one, wish)) for one in tries]
    found = _as_of(wish, _first(facts, asks))
    return found if wish.runtime is not None else _instead(found, asks[0])


def _instead(found: Outline, usual: Ask) -> Outline:
    """With the reason, where it is another environment than the profile's own."""
    own, taken = usual.profile.environment.lock, found.ask.profile.environment.lock
    why = decide(found.box, usual) if taken != own else None
    if not isinstance(why, Conflict):
        return found
    note = f"the environment {taken}, not {own}: {in_words(why.chains[0])}"
    return replace(found, notes=(*found.notes, note))


def of_model(
    facts: Facts, name: str, shape: Shape, wish: Wish, terms: Terms, base: Profile | None = None
) -> Outline:
    """The plan of a model that has no profile: the best way there is, as far as the wish allows it.

    `base` is the profile whose settings it takes. Raises UsageError for a wish that no way of running has.
    """
    machine = box_from(facts).machine
    runtimes = (RUNTIMES[wish.runtime],) if wish.runtime else EVERY
    allowed = of_wish(memory_of(shape, machine, wish.load, None, runtimes), wish)
    if not allowed:
        by = f" by {wish.runtime}" if wish.runtime else ""
        raise UsageError(
            f"--quantization {wish.quantization}: {name} is not run so{by} here",
            hint="leave --quantization out to see what is",
        )
    ours = [one.way for one in allowed if one.fits and has_stack(one.way)]
    asks = []
    # The best of each runtime: its others would meet the same obstacles.
    for way in {way.runtime: way for way in reversed(ours or [allowed[0].way])}.values():
        profile = profile_of_model(name, shape, base or base_for(way))
        asks += [
            (way, terms.ask(one, shape, wish.load, way))
            for one in environments(profile, wish.runtime or way.runtime, way.device)
        ]
    order = ours or [allowed[0].way]
    ordered = [ask for _, ask in sorted(asks, key=lambda pair: order.index(pair[0]))]
    return _as_of(wish, _first(facts, ordered))


def _as_of(wish: Wish, found: Outline) -> Outline:
    """With a word where the memory of one runtime stands for another's."""
    if wish.runtime is None or wish.runtime == RUNTIMES[wish.runtime]:
        return found
    note = (
        f"the memory of {wish.runtime} is counted as that of {RUNTIMES[wish.runtime]}: nobody has measured it"
    )
    return replace(found, notes=(*found.notes, note))


def _first(facts: Facts, asks: list[Ask]) -> Outline:
    """The plan of the first question that has one, else why not, of the one that the least would help."""
    box = box_from(facts)
    refused: list[tuple[Ask, Conflict]] = []
    for ask in asks:
        decided = decide(box, ask)
        if isinstance(decided, Decision):
            return _outlined(box, ask, decided)
        refused.append((ask, decided))
    return _outlined(box, *min(refused, key=_changes_needed))


def _changes_needed(refused: tuple[Ask, Conflict]) -> float:
    """How many facts would have to change; none helps where there is no way out."""
    shortest = refused[1].shortest
    return len(shortest[0].facts) if shortest else math.inf


def _notes(ask: Ask, told: Answer | None) -> Iterator[str]:
    if told is None:
        name = ask.profile.model.name
        yield f"nothing is known of the tensors of {name}: only the minima of its profile were compared"
        return
    if ask.shape is not None and ask.shape.confidence in _DOUBTFUL:
        name, doubt = ask.shape.name, _DOUBTFUL[ask.shape.confidence]
        yield f"the numbers of {name} {doubt}; hf:organisation/name has them read out of its files"
    for variant in dict.fromkeys((told.chosen.way, told.best.way if told.best else told.chosen.way)):
        if not has_stack(variant):
            where = "GPUs" if variant.device == "cuda" else "the CPU"
            yield f"{named(variant)} on {where}: planned only, as no profile runs a model that way yet"
