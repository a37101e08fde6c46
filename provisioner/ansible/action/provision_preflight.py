"""Audits the box and fails when something there blocks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from provisioner.ansible.target import TargetAction
from provisioner.errors import UsageError
from provisioner.facts import Facts
from provisioner.nearest import nearest_hint
from provisioner.preflight.explain import find
from provisioner.preflight.finding import Finding
from provisioner.preflight.judge import Preflight, preflight
from provisioner.preflight.needs import ALONE
from provisioner.preflight.purpose import PURPOSES
from provisioner.preflight.request import ENTRY, probe_request
from provisioner.profiles.mirrors import mirrors
from provisioner.secrecy import masked


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"purpose", "ignore", "strict", "network"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        purpose = args.get("purpose") or None
        if purpose is not None and purpose not in PURPOSES:
            raise UsageError(f"purpose {purpose}: no such purpose", hint=nearest_hint(str(purpose), PURPOSES))
        ignore = [find(str(identity)).id for identity in args.get("ignore") or []]
        asked = probe_request(mirrors=mirrors() if boolean(args.get("network", True)) else None)
        answer = self.ask(ENTRY, asked, task_vars)
        found = preflight(Facts.decode(answer), ALONE, purpose, ignore=ignore)
        return result(found, strict=boolean(args.get("strict", False)), ignore=ignore)


def result(found: Preflight, *, strict: bool, ignore: list[str]) -> dict[str, Any]:
    """The task's result; it fails on what blocks, and with `strict` on warnings that are not ignored."""
    warnings = [one for one in found.findings if one.status == "warn"]
    bad = [*found.blocking, *([one for one in warnings if one.id not in ignore] if strict else [])]
    counted = f"{len(found.blocking)} blocking, {len(warnings)} to warn of"
    lines = [f"judged as {found.purpose}: {counted}", *(_line(one) for one in found.blocking or warnings)]
    return {
        "changed": False,
        "failed": bool(bad),
        "purpose": found.purpose,
        "because": found.because,
        # Ansible prints the whole of a failed result.
        "findings": [masked(asdict(one)) for one in bad or found.findings],
        "msg": masked("\n".join(_line(one) for one in bad) if bad else "\n".join(lines)),
    }


def _line(one: Finding) -> str:
    step = one.remedy.steps[0] if one.remedy and one.remedy.steps else ""
    return f"{one.id}: {one.summary}" + (f" — {step}" if step else "")
