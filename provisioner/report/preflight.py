"""What preflight found on one or several machines, as plain data: the document of `preflight --json`, and the
verdicts that every other output goes by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from provisioner.errors import ExitCode, ProvisionError
from provisioner.facts import Facts
from provisioner.preflight.finding import Finding
from provisioner.preflight.judge import Preflight
from provisioner.secrecy import masked, without_logins

SCHEMA = 1
Standing = Literal["ready", "warned", "blocked", "failed"]
Tone = Literal["plain", "bold", "good", "bad", "doubt", "dim"]


@dataclass(frozen=True)
class Mended:
    """What --fix does on a machine: `does` what it changes, `undo` how to take that back. `state` is "would"
    with --check.
    """

    name: str
    does: str
    undo: str
    state: Literal["would", "done", "failed"]


@dataclass(frozen=True)
class PreflightHost:
    """One machine: what was read and found there, or why nobody could look. `seconds` is wall time.

    `mended`: what --fix did, after which it was looked at again; `unmended`: why it could not. `strict`:
    warnings count too; but not those of the rules in `ignored`.
    """

    name: str
    facts: Facts | None = None
    found: Preflight | None = None
    error: ProvisionError | None = None
    seconds: float = 0.0
    strict: bool = False
    ignored: tuple[str, ...] = ()
    mended: tuple[Mended, ...] = ()
    unmended: ProvisionError | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Worst first; none of a machine that nobody could look at."""
        return self.found.findings if self.found else ()

    @property
    def standing(self) -> Standing:
        """How the machine stands, in a word."""
        if self.found is None:
            return "failed"
        if self.found.blocking:
            return "blocked"
        return "warned" if any(one.status == "warn" for one in self.findings) else "ready"

    @property
    def too_many_warnings(self) -> bool:
        """Whether warnings alone make it end in 3: with `strict`, any that is not ignored."""
        return self.strict and any(
            one.status == "warn" and one.id not in self.ignored for one in self.findings
        )

    @property
    def exit_code(self) -> ExitCode:
        """What this machine alone would make the command exit with."""
        if self.found is None:
            return self.error.code if self.error else ExitCode.FAILED
        if self.unmended is not None:
            return self.unmended.code
        if self.found.blocking or self.too_many_warnings:
            return ExitCode.PREFLIGHT_BLOCKED
        return ExitCode.DRIFT if any(one.state == "would" for one in self.mended) else ExitCode.DONE


def called(one: Finding) -> tuple[str, Tone]:
    """What a finding is called, by what it means for the person who reads it, and in which tone."""
    if one.status == "fail":
        return "blocking", "bad"
    if one.status == "warn":
        return ("serious", "bad") if one.severity == "high" else ("warning", "doubt")
    if one.status == "error":
        return "senseless", "doubt"
    if one.status == "pass":
        return ("note", "plain") if one.severity == "info" else ("fine", "good")
    return ("unknown", "dim") if one.status == "unknown" else ("not here", "dim")


def concerns(findings: Iterable[Finding]) -> list[Finding]:
    """What a person should act on: what blocks, what warns, and what was there and made no sense."""
    return [one for one in findings if one.status in ("fail", "warn", "error")]


def exit_code(hosts: Sequence[PreflightHost]) -> ExitCode:
    """The worst of them."""
    return ExitCode.worst([host.exit_code for host in hosts])


def preflight_json(hosts: Sequence[PreflightHost]) -> dict[str, Any]:
    """The documented JSON document, schema 1 (docs/json.md)."""
    from provisioner.report.siblings import siblings

    return {
        "schema": SCHEMA,
        "verb": "preflight",
        "exit_code": int(exit_code(hosts)),
        "error": None,
        "hint": None,
        "hosts": [host_json(host) for host in hosts],
        "siblings": [asdict(group) for group in siblings(hosts)],
    }


def host_json(host: PreflightHost) -> dict[str, Any]:
    """One machine of the document."""
    facts = None
    if host.facts is not None:
        facts = {key: value for key, value in host.facts.to_json().items() if key != "receipts"}
    return {
        "name": host.name,
        "status": host.standing,
        "exit_code": int(host.exit_code),
        "error": without_logins(host.error.message) if host.error else None,
        "hint": host.error.hint if host.error else None,
        "seconds": round(host.seconds, 3),
        "fixes": [asdict(one) for one in host.mended],
        "fix_error": without_logins(host.unmended.message) if host.unmended else None,
        "fix_hint": host.unmended.hint if host.unmended else None,
        **found_json(host.found),
        "facts": masked(facts),
    }


def found_json(found: Preflight | None) -> dict[str, Any]:
    """What was found on one machine, and as what it was judged; nothing of one that nobody could look at."""
    findings = found.findings if found else ()
    return {
        "purpose": found.purpose if found else None,
        "because": found.because if found else None,
        "counts": dict(Counter(one.status for one in findings)),
        "findings": [finding_json(one) for one in findings],
    }


def finding_json(one: Finding) -> dict[str, Any]:
    """One finding of the document."""
    plain: dict[str, Any] = masked(asdict(one))
    return plain
