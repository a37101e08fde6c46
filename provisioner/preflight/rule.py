"""A rule, what it looks at, and the verdicts it may give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from provisioner.audit import Audit, PciDevice, Reading
from provisioner.facts import Facts, Gpu
from provisioner.preflight.finding import Confidence, Evidence, Remedy
from provisioner.preflight.needs import Needs
from provisioner.preflight.purpose import Purpose

Weight = Literal["info", "warn", "high", "fail"]
Outcome = Literal["good", "bad", "unknown", "not_applicable", "error"]


@dataclass(frozen=True)
class Case:
    """What rules look at. Properties gather what several of them need."""

    facts: Facts
    audit: Audit
    needs: Needs
    purpose: Purpose

    @property
    def virtual(self) -> bool:
        """A guest of a hypervisor: its firmware and slots are the hypervisor's, not the machine's."""
        return self.audit.sight.virtualization.value not in (None, "none")

    @cached_property
    def cards(self) -> tuple[tuple[Gpu, PciDevice | None], ...]:
        """Each NVIDIA GPU with what its slot says, None where no bus is to be seen."""
        devices = {device.address: device for device in self.audit.slots.devices.value or ()}
        return tuple((gpu, devices.get(gpu.address)) for gpu in self.facts.gpus)


@dataclass(frozen=True)
class Verdict:
    """What a rule says of one subject. `weight`: of this one, where it is not the rule's own; for a good one
    only "info" means something: worth knowing all the same. `reason`: why there is no verdict, in the same
    words for all that have that reason.
    """

    outcome: Outcome
    summary: str
    observed: str = ""
    expected: str = ""
    subject: str = ""
    evidence: tuple[Evidence, ...] = ()
    weight: Weight | None = None
    confidence: Confidence = "confirmed"
    limits: str = ""
    remedy: Remedy | None = None
    reason: str = ""


@dataclass(frozen=True)
class Rule:
    """`weight` is how bad a bad verdict is, `weights` where a purpose differs. A bad verdict of weight "info"
    is a pass worth knowing; "fail" blocks. A rule has a page: pages/ID.md. A rule that does not concern a box
    yields nothing.
    """

    id: str
    category: str
    check: Callable[[Case], Iterable[Verdict]]
    weight: Weight = "warn"
    weights: Mapping[Purpose, Weight] = field(default_factory=dict)


def seen(reading: Reading[Any], value: str | None = None) -> Evidence:
    """A reading as evidence; `value` in words where its own would not do."""
    return Evidence(reading.source, str(reading.value) if value is None else value, reading.offset)


def good(summary: str, observed: str = "", **rest: Any) -> Verdict:
    """Nothing to do."""
    return Verdict("good", summary, observed, **rest)


def bad(summary: str, observed: str, expected: str, **rest: Any) -> Verdict:
    """Not as it should be; the rule's weight says how much that matters."""
    return Verdict("bad", summary, observed, expected, **rest)


def cannot(reading: Reading[Any], summary: str, **rest: Any) -> Verdict:
    """No verdict, for the reason that the reading itself gives. `absent` is a value: judge it before."""
    outcomes: dict[str, Outcome] = {"not_applicable": "not_applicable", "error": "error"}
    evidence = (Evidence(reading.source, reading.why, reading.offset),) if reading.source else ()
    rest.setdefault("evidence", evidence)
    rest.setdefault("reason", reading.why)
    return Verdict(outcomes.get(reading.state, "unknown"), f"{summary}: {reading.why}", **rest)
