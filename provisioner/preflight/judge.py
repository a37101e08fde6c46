"""Findings(Facts, Needs, Purpose): every rule asked, its verdicts weighed by what the box is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provisioner.audit import Audit
from provisioner.facts import Facts
from provisioner.preflight import pages
from provisioner.preflight.finding import Finding, Severity, Status, worst_first
from provisioner.preflight.needs import GENERAL, Needs
from provisioner.preflight.purpose import Purpose, infer
from provisioner.preflight.rule import Case, Rule, Verdict, Weight
from provisioner.preflight.rules import RULES


@dataclass(frozen=True)
class Preflight:
    """What was found on one box, worst first; `because` says by what the purpose was recognised, or who set
    it.
    """

    purpose: Purpose
    because: str
    findings: tuple[Finding, ...]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What `provision up` must not go on with."""
        return tuple(one for one in self.findings if one.blocks)


def preflight(
    facts: Facts,
    needs: Needs = GENERAL,
    purpose: Purpose | None = None,
    *,
    ignore: Sequence[str] = (),
    rules: Sequence[Rule] = RULES,
) -> Preflight:
    """Ask every rule. `ignore`: ids that may find what they like without blocking."""
    inferred, because = infer(facts)
    case = Case(facts, facts.audit or Audit(), needs, purpose or inferred)
    found = [one for rule in rules for one in _findings(rule, case, ignored=rule.id in ignore)]
    return Preflight(case.purpose, "as asked" if purpose else because, worst_first(found))


def _findings(rule: Rule, case: Case, *, ignored: bool) -> Iterator[Finding]:
    for verdict in rule.check(case):
        status, severity = weighed(verdict, verdict.weight or rule.weights.get(case.purpose, rule.weight))
        if ignored and severity == "blocking":
            status, severity = "warn", "high"
        page = pages.page(rule.id)
        yield Finding(
            id=rule.id,
            name=page.name,
            category=rule.category,
            status=status,
            severity=severity,
            confidence=verdict.confidence,
            subject=verdict.subject,
            observed=verdict.observed,
            expected=verdict.expected,
            summary=verdict.summary,
            impact=page.impact if verdict.outcome == "bad" else "",
            evidence=verdict.evidence,
            limits=verdict.limits,
            remedy=verdict.remedy,
            references=page.references if verdict.outcome == "bad" else (),
            reason=verdict.reason,
        )


def weighed(verdict: Verdict, weight: Weight) -> tuple[Status, Severity]:
    """Status and severity of a verdict. A heuristic never fails, and so never blocks."""
    match verdict.outcome:
        case "good":
            return "pass", "info" if verdict.weight == "info" else "none"
        case "bad":
            if weight == "fail" and verdict.confidence == "heuristic":
                weight = "high"
            return _BAD[weight]
        case other:
            return other, "none"


_BAD: dict[Weight, tuple[Status, Severity]] = {
    "info": ("pass", "info"),
    "warn": ("warn", "warning"),
    "high": ("warn", "high"),
    "fail": ("fail", "blocking"),
}
