"""What a verb found and did, as plain data. Every output is made from this and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from provisioner.compat import Plan, WhyNot
from provisioner.compat.outline import Outline
from provisioner.drift import RoleDrift
from provisioner.errors import ExitCode, ProvisionError
from provisioner.facts import Facts
from provisioner.preflight.judge import Preflight
from provisioner.report.doing import doing, restart_ahead
from provisioner.report.frame import Frame
from provisioner.report.peaks import Peaks, peaks
from provisioner.report.plan import outline_json, why_not_json
from provisioner.report.preflight import found_json
from provisioner.secrecy import masked, without_logins
from provisioner.sizing.smoke import smoke_budget


class Status(StrEnum):
    """How a host ended, in words that stand in a sentence."""

    CONVERGED = "nothing to do"
    DONE = "done"
    ANSWERED = "answered"
    WOULD_CHANGE = "would change"
    DRIFTED = "drifted"
    IMPOSSIBLE = "impossible"
    REBOOT = "restart needed"
    BLOCKED = "blocked"
    FAILED = "failed"


_CODES = {
    Status.CONVERGED: ExitCode.DONE,
    Status.DONE: ExitCode.DONE,
    Status.ANSWERED: ExitCode.DONE,
    Status.WOULD_CHANGE: ExitCode.DRIFT,
    Status.DRIFTED: ExitCode.DRIFT,
    Status.IMPOSSIBLE: ExitCode.PLAN_IMPOSSIBLE,
    Status.REBOOT: ExitCode.REBOOT_REQUIRED,
    Status.BLOCKED: ExitCode.PREFLIGHT_BLOCKED,
    Status.FAILED: ExitCode.FAILED,
}


@dataclass(frozen=True)
class HostResult:
    """One host: what was found, what was planned, what differed, how it ended. `seconds` is wall time.

    `outline` is what the plan rests on: ways, memory and reasons, for the page. `preflight` is there when
    something was about to be changed. `restart` says why the machine waits for a restart, when it does.
    """

    name: str
    status: Status
    facts: Facts | None = None
    plan: Plan | None = None
    why_not: WhyNot | None = None
    drift: Sequence[RoleDrift] = ()
    error: str | None = None
    hint: str | None = None
    role: str = ""
    changed: int = 0
    seconds: float = 0.0
    smoke: Mapping[str, Any] | None = None
    outline: Outline | None = None
    preflight: Preflight | None = None
    restart: str | None = None

    @property
    def peaks(self) -> Peaks | None:
        """What the smoke test was predicted to take, beside what it took."""
        outline = self.plan.outline if self.plan else None
        ask = outline.ask if outline else None
        predicted = None
        if ask is not None and ask.shape is not None and ask.way is not None:
            gguf = any(file.name.endswith(".gguf") for file in ask.profile.model.files)
            predicted = smoke_budget(ask.shape, ask.way, ask.profile.smoke.tokens, gguf=gguf)
        return peaks(predicted, self.smoke)

    @property
    def exit_code(self) -> ExitCode:
        """What this host alone would make the command exit with."""
        return _CODES[self.status]

    def failed(self, error: ProvisionError, role: str = "") -> HostResult:
        """The same host, ended by an error."""
        return replace(self, status=Status.FAILED, error=error.message, hint=error.hint, role=role)


@dataclass(frozen=True)
class RunResult(Frame[HostResult]):
    """One call of a verb over its hosts. `folder` holds the journal and the report of a run that acted.

    `error` is what ended the whole run before its hosts had come to their own endings: an interrupt, say.
    """

    def hosts_json(self) -> list[dict[str, Any]]:
        """Each host of the document."""
        return [host_json(host) for host in self.hosts]


def host_json(host: HostResult) -> dict[str, Any]:
    """One host of the JSON document."""
    return {
        "name": host.name,
        "status": host.status.value,
        "exit_code": int(host.exit_code),
        "error": without_logins(host.error) if host.error else None,
        "hint": host.hint,
        "role": host.role or None,
        "restart": host.restart,
        "changed": host.changed,
        "seconds": round(host.seconds, 3),
        "facts": _facts_json(host.facts),
        "plan": _plan_json(host.plan),
        "why_not": _why_not_json(host.why_not),
        "preflight": found_json(host.preflight) if host.preflight else None,
        "outline": outline_json(host.outline) if host.outline else None,
        "restart_ahead": restart_ahead(host.facts, host.plan, host.drift),
        "drift": [
            {
                "role": drift.role,
                "status": drift.status,
                "does": doing(host.plan, drift.role) if host.plan else None,
                "items": [asdict(item) for item in drift.items],
            }
            for drift in host.drift
        ],
        "smoke": dict(host.smoke) if host.smoke else None,
        "memory": found.to_json() if (found := host.peaks) else None,
    }


def _why_not_json(why: WhyNot | None) -> dict[str, Any] | None:
    return why_not_json(why.chains, why.changes) if why else None


def _facts_json(facts: Facts | None) -> dict[str, Any] | None:
    """The facts without the receipts, whose content is in `drift`."""
    if facts is None:
        return None
    return {key: value for key, value in facts.to_json().items() if key not in ("receipts", "audit")}


def _plan_json(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "profile": plan.profile.name,
        "scope": plan.scope,
        "places": asdict(plan.places),
        "roles": masked(plan.public_roles()),
        "notes": list(plan.notes),
    }
