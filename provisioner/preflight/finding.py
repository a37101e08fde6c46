"""What a rule says of a machine. Observed, expected and who acts stand apart, so that no sentence need be
taken apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail", "unknown", "not_applicable", "error"]
Severity = Literal["none", "info", "warning", "high", "blocking"]
"""none: nothing to say. info: worth knowing, nothing to do. Only `blocking` stops `provision up`."""
Confidence = Literal["confirmed", "likely", "heuristic"]
Actor = Literal["firmware", "kernel", "system", "host", "vendor", "owner"]
"""Who acts: in the firmware's menus, on the kernel's command line, in the running system, on the machine
around this guest or container, the maker (an update), the owner (hardware).
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where something was seen: a path or call, the byte in it, and the value as a person would write it."""

    source: str
    value: str
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a person can do. `steps` in order, each one action; `menu` where the setting usually is on boards
    of this vendor; `fix` is the name of a fix that `--fix` can apply, "" where only a person should.
    """

    actor: Actor
    steps: tuple[str, ...]
    reboot: bool = False
    risk: str = ""
    menu: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule about one subject ("pci:0000:01:00.0", "" for the whole machine). `reason`: why there is no
    verdict, where there is none.
    """

    id: str
    name: str
    category: str
    status: Status
    severity: Severity
    confidence: Confidence
    subject: str
    observed: str
    expected: str
    summary: str
    impact: str
    evidence: tuple[Evidence, ...] = ()
    limits: str = ""
    remedy: Remedy | None = None
    references: tuple[str, ...] = ()
    reason: str = ""

    @property
    def blocks(self) -> bool:
        """Whether `provision up` must not go on."""
        return self.severity == "blocking"


_RANK = {"fail": 0, "warn": 1, "error": 2, "unknown": 3, "pass": 4, "not_applicable": 5}
_WEIGHT = {"blocking": 0, "high": 1, "warning": 2, "info": 3, "none": 4}


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The order in which a person should read them."""
    return tuple(
        sorted(findings, key=lambda one: (_RANK[one.status], _WEIGHT[one.severity], one.id, one.subject))
    )
