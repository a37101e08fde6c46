"""Plan(Facts, Profile, Settings): pure, so that every case is a row in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provisioner.compat import roles as role_data
from provisioner.compat.box import usable_memory
from provisioner.compat.choose import Choice, choose
from provisioner.compat.decide import Decision
from provisioner.compat.outline import Outline, Terms
from provisioner.compat.request import Settings, blaming_the_box, remembered
from provisioner.compat.rules.case import gigabytes
from provisioner.compat.smaller import MEMORY_TOLERANCE
from provisioner.compat.solver import Fact, in_words
from provisioner.compat.variables import role_variables
from provisioner.compat.wanted import wanted
from provisioner.facts import SYSTEM_PLACES, Facts, Places
from provisioner.profiles import Profile

Scope = Literal["system", "user"]

# The general minima only warn; those that block are the profile's own.
GENERAL_CORES = 4
GENERAL_MEMORY = 16_000_000_000


@dataclass(frozen=True)
class WhyNot:
    """Why nothing can be planned: chains of facts that contradict each other, and what would help.

    `outline` is the plan that failed, with what its model would take.
    """

    chains: tuple[tuple[Fact, ...], ...]
    changes: tuple[str, ...]
    outline: Outline | None = None

    @property
    def change(self) -> str:
        """What would have to change: any one of the ways out."""
        return "; or ".join(self.changes)

    def __str__(self) -> str:
        return "; and ".join(map(in_words, self.chains))


@dataclass(frozen=True)
class Plan:
    """What will be on the box, as resolved role variables.

    `roles` maps each role, in the order they run, to every one of its public variables, secrets included.
    `request` is what was asked for, kept in the receipts so that the next bare run asks for the same.
    `notes` are sentences for a person: what was chosen and why. `outline` has the routes, the facts that they
    rest on, and the memory that the model takes.
    """

    outline: Outline
    scope: Scope
    places: Places
    roles: Mapping[str, Mapping[str, Any]]
    request: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def profile(self) -> Profile:
        """What was chosen."""
        return self.outline.ask.profile

    def public_roles(self) -> dict[str, dict[str, Any]]:
        """The role variables that may be shown and written down: all but the secrets."""
        return {
            role: {name: value for name, value in values.items() if name not in role_data.secrets(role)}
            for role, values in self.roles.items()
        }


def make_plan(facts: Facts, settings: Settings) -> Plan | WhyNot:
    """The plan for one box, or why there is none.

    Raises UsageError for what the command line asks for and nobody knows, and ProvisionError when it is what
    the box remembers that cannot be had any more (a profile of another version, a file elsewhere).
    """
    whole = remembered(facts, settings)
    with blaming_the_box(settings, whole):
        return _plan(facts, whole)


def _plan(facts: Facts, settings: Settings) -> Plan | WhyNot:
    choice = choose(facts, settings, terms_of(settings))
    decided = choice.outline.decided
    if not isinstance(decided, Decision):
        return WhyNot(decided.chains, tuple(map(str, decided.shortest)), choice.outline)
    scope = decided.scope
    places = facts.places.get(scope, SYSTEM_PLACES)
    return Plan(
        outline=choice.outline,
        scope=scope,
        places=places,
        roles=role_variables(choice.outline.box, decided, choice.profile, places, settings),
        request=_request(facts, choice.profile, settings),
        notes=tuple(_notes(facts, choice, decided, places)),
    )


def terms_of(settings: Settings) -> Terms:
    """What a run asks of the plan beside the model. Raises UsageError for what nobody knows."""
    asked = wanted(settings.variables)
    return Terms(
        cuda=asked.cuda,
        require_gpu=settings.require_gpu,
        upgrade=settings.upgrade,
        scope=settings.scope,
        own_lock="environment.lock" in settings.profile_overrides,
        branch=asked.driver,
        driver_route=asked.driver_route,
        toolkit_route=asked.toolkit_route,
        modules=asked.modules,
        without_gpu=asked.without_gpu,
    )


def _notes(facts: Facts, choice: Choice, decided: Decision, places: Places) -> Iterator[str]:
    yield from route_note(facts, choice)
    if decided.scope == "user":
        yield f"without root: everything goes under {places.code.rsplit('/', 1)[0]}"
    yield from decided.notes
    if choice.outline.answer is None:
        yield from choice.outline.notes
    yield from _warnings(facts)
    yield from _on_windows(facts, places)


def _on_windows(facts: Facts, places: Places) -> Iterator[str]:
    """What lies on a disk of Windows: it is read and written through Windows, file by file."""
    for what, folder in (("weights", places.state), ("environments", places.code)):
        disk = facts.disks.get(folder)
        if disk is not None and disk.windows:
            yield f"{what} lie on a disk of Windows ({folder}), slow from WSL: let it lead to WSL's own disk"


def route_note(facts: Facts, choice: Choice) -> Iterator[str]:
    """Why the GPU is not used, when it is not, or why not for a better profile."""
    name = choice.profile.name
    if facts.python is None and facts.why_unknown("python") is None:
        yield "no Python: it comes first, then the machine is looked at and planned for real"
    elif not facts.gpus and not choice.profile.needs_gpu:
        yield f"no NVIDIA GPU found: the CPU route, with {name}"
    elif choice.refused:
        better = choice.refused[-1]
        route = "" if choice.profile.needs_gpu else "the CPU route, with "
        yield f"{route}{name}, not {better.ask.profile.name}: {in_words(better.chains[0])}"
        helps = [change for change in better.changes if not change.startswith("take --profile")]
        if helps:
            yield f"for {better.ask.profile.name}: {helps[0]}"


def _warnings(facts: Facts) -> Iterator[str]:
    cores, memory = facts.cpu.cores, usable_memory(facts)
    if cores is not None and cores < GENERAL_CORES:
        yield f"{cores} cores: {GENERAL_CORES} or more are advised"
    if memory is not None and memory < GENERAL_MEMORY * MEMORY_TOLERANCE:
        yield f"{gigabytes(memory)} of memory: {gigabytes(GENERAL_MEMORY)} or more are advised"


def _request(facts: Facts, profile: Profile, settings: Settings) -> dict[str, Any]:
    # What was chosen for a box that nobody could look at yet must not bind the choice that follows.
    chosen = None if settings.model or facts.python is None else profile.name
    public = {name: value for name, value in settings.variables.items() if not role_data.is_secret(name)}
    return {
        "profile": settings.profile or chosen,
        "chosen": settings.chosen or (settings.profile is None and settings.model is None),
        "model": settings.model,
        "profile_overrides": dict(settings.profile_overrides),
        "variables": public,
    }
