"""What holds of every answer of the plan, over the whole space of machines and requests.

`oracle` reads the data a second time; it says whether an answer is right, and whether there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from provisioner.compat import decide as deciding
from provisioner.compat import knowledge
from provisioner.compat.box import box_from
from provisioner.compat.decide import Ask, Decision, decide
from provisioner.compat.rules.case import Case
from provisioner.compat.solver import Conflict, Constraint
from provisioner.facts import Facts

from . import oracle, reading, truths
from .boxes import asks, boxes
from .oracle import Driver, Outcome

# `PROVISION_EXAMPLES=50 pytest ...` looks at fifty times as many.
TIMES = int(os.environ.get("PROVISION_EXAMPLES", "1"))


def outcome_of(facts: Facts, decision: Decision) -> Outcome:
    """What a decision would leave on the box."""
    driver, toolkit, python = (decision.route(what) for what in ("driver", "toolkit", "python"))
    if driver.action in ("install", "upgrade"):
        branch, flavour = int(driver.version.split(".")[0]), driver.extra["modules"]
        final = Driver("install", driver.version, branch, driver.way, flavour)
    elif facts.driver_version is not None:
        final = Driver("keep", facts.driver_version)
    else:
        final = Driver("none" if driver.action == "none" else "unknown")
    return Outcome(final, toolkit.version or None, toolkit.way or None, python.version)


def pythons(facts: Facts) -> list[str | None]:
    """The interpreters there could be."""
    system = reading.system_of(facts)
    own = facts.python.version if facts.python else system["python"] if system else None
    libc = facts.os.libc_version
    managed = [
        entry["python"]
        for entry in reading.data("pythons")
        if not libc or reading.number(libc) >= reading.number(entry["glibc"])
    ]
    return [*([own] if own else []), *managed]


@settings(max_examples=60 * TIMES)
@given(boxes() | boxes(able=True), asks())
def test_a_decision_is_right_in_every_part(facts: Facts, ask: Ask) -> None:
    """Never a driver in WSL2, a toolkit that does not know the GPU, wheels that this box cannot run."""
    answer = decide(box_from(facts), ask)
    if isinstance(answer, Decision):
        assert oracle.wrong(facts, ask, outcome_of(facts, answer)) == []
        if facts.os.wsl or facts.os.container:
            assert answer.route("driver").action not in ("install", "upgrade")


@settings(max_examples=60 * TIMES)
@given(boxes() | boxes(able=True), asks())
def test_there_is_a_decision_wherever_one_is_possible(facts: Facts, ask: Ask) -> None:
    answer = decide(box_from(facts), ask)
    assert isinstance(answer, Decision) == oracle.possible(facts, ask, pythons(facts)), str(answer)


@settings(max_examples=30 * TIMES)
@given(boxes(able=True), asks(), st.integers(1, 400))
def test_more_vram_never_turns_possible_into_impossible(facts: Facts, ask: Ask, more: int) -> None:
    sizes = list(reading.vram(facts))
    assume(all(size is not None for size in sizes))
    before = decide(box_from(facts), ask)
    gpus = [
        replace(gpu, memory_bytes=(size or 0) + (more << 30))
        for gpu, size in zip(facts.gpus, sizes, strict=True)
    ]
    answer = decide(box_from(replace(facts, gpus=tuple(gpus))), ask)
    assert isinstance(answer, Decision) or isinstance(before, Conflict), str(answer)


@settings(max_examples=30 * TIMES)
@given(boxes(able=True), asks(), st.data())
def test_a_newer_driver_that_serves_the_gpu_never_turns_possible_into_impossible(
    facts: Facts, ask: Ask, data: st.DataObject
) -> None:
    # Who asks for a branch by number asks for another one than a newer one.
    ask = replace(ask, driver=None if ask.driver != "keep" else "keep")
    releases = [one.newest for one in knowledge.branches() if oracle.serves(one.branch, facts)]
    assume(len(releases) > 1)
    old, new = sorted(
        data.draw(st.lists(st.sampled_from(releases), min_size=2, max_size=2)), key=reading.number
    )
    before = decide(box_from(replace(facts, driver_version=old, unknown=_seen(facts))), ask)
    after = decide(box_from(replace(facts, driver_version=new, unknown=_seen(facts))), ask)
    assert isinstance(after, Decision) or isinstance(before, Conflict), f"{old} → {new}: {after}"


def _seen(facts: Facts) -> tuple[Any, ...]:
    return tuple(one for one in facts.unknown if one.what != "driver_version")


@settings(max_examples=50 * TIMES)
@given(boxes() | boxes(able=True), asks())
def test_each_why_not_chain_is_minimal_and_true(facts: Facts, ask: Ask) -> None:
    """Its facts alone contradict, and without any one of them they do not; each agrees with the data."""
    box = box_from(facts)
    answer = decide(box, ask)
    if isinstance(answer, Decision):
        return
    case = Case(box, ask)
    domains, constraints = deciding._domains(case), list(deciding._constraints(case))
    for chain in answer.chains:
        names = [fact.id for fact in chain]
        assert contradict(domains, constraints, names), str(answer)
        for name in names:
            assert not contradict(domains, constraints, [one for one in names if one != name]), (
                name,
                str(answer),
            )
    told = [fact for chain in answer.chains for fact in chain]
    assert len({fact.id for fact in told}) == len(told)
    assert [text for fact in told for text in truths.lies(fact, facts, ask)] == []


@settings(max_examples=30 * TIMES)
@given(boxes() | boxes(able=True), asks())
def test_the_facts_of_a_decision_are_true(facts: Facts, ask: Ask) -> None:
    answer = decide(box_from(facts), ask)
    if isinstance(answer, Decision):
        assert [text for fact in answer.facts for text in truths.lies(fact, facts, ask)] == []


def contradict(
    domains: dict[str, Sequence[Any]], constraints: Iterable[Constraint], names: Iterable[str]
) -> bool:
    """Whether no choice satisfies the constraints that rest on these facts alone: by trying each."""
    held = set(names)
    active = [one for one in constraints if {fact.id for fact in one.facts} <= held]
    over = sorted({name for one in active for name in one.over})
    for values in product(*(domains[name] for name in over)):
        chosen = dict(zip(over, values, strict=True))
        if all(one.permits(*(chosen[name] for name in one.over)) for one in active):
            return False
    return True
