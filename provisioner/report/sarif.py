"""Findings as SARIF 2.1.0 (OASIS standard of 27 March 2020), which code hosts and editors show.

A run a machine. A result has a logical location, the machine or the part of it that is meant, and where a
file told it, that file's path there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from provisioner import __version__
from provisioner.preflight import pages
from provisioner.preflight.finding import Finding
from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import RULES
from provisioner.report.preflight import PreflightHost
from provisioner.report.preflight_words import told
from provisioner.secrecy import masked

VERSION = "2.1.0"
# The standard's own name for its schema; some readers refuse a document that does not say it.
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
# Only a result of the kind "fail" may have a level other than "none" (3.27.10).
_KINDS: Mapping[str, str] = {
    "fail": "fail", "warn": "fail", "pass": "pass", "unknown": "open", "error": "open",
    "not_applicable": "notApplicable",
}  # fmt: skip
_LEVELS: Mapping[str, str] = {"blocking": "error", "high": "warning", "warning": "warning"}
_WEIGHTS: Mapping[str, str] = {"fail": "error", "high": "warning", "warn": "warning", "info": "note"}


def sarif(hosts: Sequence[PreflightHost], rules: Sequence[Rule] = RULES) -> dict[str, Any]:
    """The document."""
    known = {rule.id: rule for rule in rules}
    log = {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [_run(host, list(known.values())) for host in hosts],
    }
    plain: dict[str, Any] = masked(log)
    return plain


def _run(host: PreflightHost, rules: Sequence[Rule]) -> dict[str, Any]:
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    invocation: dict[str, Any] = {
        "executionSuccessful": host.error is None,
        "exitCode": int(host.exit_code),
        "machine": host.name,
    }
    if host.error is not None:
        text = host.error.message + (f"; next: {host.error.hint}" if host.error.hint else "")
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": text}}]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "provision preflight",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "automationDetails": {"id": f"preflight/{host.name}"},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, host.name, numbers) for one in host.findings],
    }
    if host.found is not None:
        run["properties"] = {"purpose": host.found.purpose, "because": host.found.because}
    return run


def _rule(rule: Rule) -> dict[str, Any]:
    page = pages.page(rule.id)
    sections = [(heading, text) for heading, text in page.sections.items() if text]
    return {
        "id": rule.id,
        "name": page.name,
        "shortDescription": {"text": page.name},
        "fullDescription": {"text": page.sections.get(pages.SECTIONS[0]) or page.name},
        "help": {
            "text": "\n\n".join(f"{heading}\n{text}" for heading, text in sections),
            "markdown": "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections),
        },
        "defaultConfiguration": {"level": _WEIGHTS[rule.weight]},
        "properties": {"category": rule.category},
    }


def _result(one: Finding, host: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    kind = "informational" if one.status == "pass" and one.severity == "info" else _KINDS[one.status]
    lines = [one.summary, *(f"{label}: {text}" if label else text for label, text in told(one).parts)]
    result: dict[str, Any] = {
        "ruleId": one.id,
        "kind": kind,
        "level": _LEVELS.get(one.severity, "none") if kind == "fail" else "none",
        "message": {"text": "\n".join(lines)},
        "locations": [_location(one, host)],
        "partialFingerprints": {"finding/v1": f"{host} {one.id} {one.subject}".strip()},
        "properties": {
            "status": one.status,
            "severity": one.severity,
            "confidence": one.confidence,
            "observed": one.observed,
            "expected": one.expected,
        },
    }
    if one.id in numbers:
        result["ruleIndex"] = numbers[one.id]
    return result


def _location(one: Finding, host: str) -> dict[str, Any]:
    name = f"{host}/{one.subject}" if one.subject else host
    kind = "part" if one.subject else "machine"
    location: dict[str, Any] = {
        "logicalLocations": [{"name": one.subject or host, "fullyQualifiedName": name, "kind": kind}]
    }
    told_by = next((seen for seen in one.evidence if seen.source.startswith("/")), None)
    if told_by is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": f"file://{quote(told_by.source)}"}}
        if told_by.offset is not None:
            physical["region"] = {"byteOffset": told_by.offset, "byteLength": 1}
        location["physicalLocation"] = physical
    return location
