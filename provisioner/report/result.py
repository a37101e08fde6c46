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
from provisioner.report.peaks import Peaks, peaks
from provisioner.report.plan import outline_json, why_not_json
from provisioner.report.preflight import found_json
from provisioner.secrecy import masked, without_logins
from provisioner.sizing.smoke import smoke_budget

SCHEMA = 1


class Status(StrEnum):
    """How a host ended, in words that stand in a sentence."""

    CONVERGED = "nothing to do"
    DONE = "done"
    ANSWERED = "answered"
    WOULD_CHANGE = "would change"
    DRIFTED = "drifted"
    IMPOSSIBLE = "impossible"
    BLOCKED = "blocked"
    FAILED = "failed"


_CODES = {
    Status.CONVERGED: ExitCode.DONE,
    Status.DONE: ExitCode.DONE,
    Status.ANSWERED: ExitCode.DONE,
    Status.WOULD_CHANGE: ExitCode.DRIFT,
    Status.DRIFTED: ExitCode.DRIFT,
    Status.IMPOSSIBLE: ExitCode.PLAN_IMPOSSIBLE,
    Status.BLOCKED: ExitCode.PREFLIGHT_BLOCKED,
    Status.FAILED: ExitCode.FAILED,
}


@dataclass(frozen=True)
class HostResult:
    """One host: what was found, what was planned, what differed, how it ended. `seconds` is wall time.

    `outline` is what the plan rests on: ways, memory and reasons, for the page. `preflight` is there when
    something was about to be changed.
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
class RunResult:
    """One call of a verb over its hosts. `folder` holds the journal and the report of a run that acted.

    `error` is what ended the whole run before its hosts had come to their own endings: an interrupt, say.
    """

    verb: str
    hosts: Sequence[HostResult]
    run: str | None = None
    folder: str | None = None
    seconds: float = 0.0
    error: ProvisionError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The worst of the hosts', or that of what ended the run."""
        if self.error is not None:
            return self.error.code
        return ExitCode.worst([host.exit_code for host in self.hosts])

    def to_json(self) -> dict[str, Any]:
        """The documented JSON document, schema 1 (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "verb": self.verb,
            "exit_code": int(self.exit_code),
            "error": without_logins(self.error.message) if self.error else None,
            "hint": self.error.hint if self.error else None,
            "run": self.run,
            "folder": self.folder,
            "seconds": round(self.seconds, 3),
            "hosts": [host_json(host) for host in self.hosts],
        }


def host_json(host: HostResult) -> dict[str, Any]:
    """One host of the JSON document."""
    return {
        "name": host.name,
        "status": host.status.value,
        "exit_code": int(host.exit_code),
        "error": without_logins(host.error) if host.error else None,
        "hint": host.hint,
        "role": host.role or None,
        "changed": host.changed,
        "seconds": round(host.seconds, 3),
        "facts": _facts_json(host.facts),
        "plan": _plan_json(host.plan),
        "why_not": _why_not_json(host.why_not),
        "preflight": found_json(host.preflight) if host.preflight else None,
        "outline": outline_json(host.outline) if host.outline else None,
        "drift": [
            {"role": drift.role, "status": drift.status, "items": [asdict(item) for item in drift.items]}
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
