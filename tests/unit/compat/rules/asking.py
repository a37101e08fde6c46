"""How the tests of the rules ask: a box in words, changed by a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from provisioner import profiles
from provisioner.compat.box import Box, box_from
from provisioner.compat.decide import Ask, Decision, decide, problem_of
from provisioner.compat.described import described
from provisioner.compat.solver import Conflict
from provisioner.compat.wanted import driver_ways, toolkit_ways

GPU_PROFILE = "autoglm-phone-9b"
CPU_PROFILE = "gemma3-270m"
# The environment with CUDA for Arm.
ON_ARM = {"environment.lock": "transformers-cuda13"}
# Nothing is unknown.
BOX: dict[str, Any] = {
    "gpu": "RTX 4090",
    "os": "ubuntu22.04",
    "arch": "x86_64",
    "memory": "64GB",
    "cores": 16,
    "driver": "none",
    "disk": "500GB",
    "secure_boot": False,
}


def box(*, facts: dict[str, Any] | None = None, seen: dict[str, Any] | None = None, **words: Any) -> Box:
    """A box in words, with fields of its facts, and what was seen of its system, changed."""
    made = replace(described(**{**BOX, **words}), **(facts or {}))
    return box_from(replace(made, os=replace(made.os, **(seen or {}))))


def ask(profile: str = GPU_PROFILE, overrides: dict[str, Any] | None = None, **asked: Any) -> Ask:
    """What is asked for beside a profile; `route` is what --route says."""
    way = asked.pop("route", None)
    asked |= {"driver_route": way} if way in driver_ways() else {}
    asked |= {"toolkit_route": way} if way in toolkit_ways() else {}
    return Ask(profiles.load(profile, overrides or {}), **asked)


def decision(where: Box, wanted: Ask) -> Decision:
    """The decision; no conflict."""
    found = decide(where, wanted)
    assert isinstance(found, Decision), str(found)
    return found


def conflict(where: Box, wanted: Ask) -> Conflict:
    """Why there is none, each chain proved: its facts alone contradict each other, without any one not."""
    found = decide(where, wanted)
    assert isinstance(found, Conflict), found
    problem = problem_of(where, wanted)
    for chain in found.chains:
        assert problem.contradict(chain)
        for fact in chain:
            assert not problem.contradict([one for one in chain if one is not fact]), fact
    for remedy in found.remedies:
        assert problem.without(remedy.facts) is not None
        assert all(fact.change for fact in remedy.facts)
    return found


def chains(where: Box, wanted: Ask) -> list[str]:
    """The chains of a conflict, as they are told."""
    return [" → ".join(fact.text for fact in chain) for chain in conflict(where, wanted).chains]
