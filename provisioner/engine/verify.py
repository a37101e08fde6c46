"""Receipts and assertions side by side: two independent opinions on whether a box is as it was left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from provisioner import layout
from provisioner.ansible.state import render_state
from provisioner.compat import Settings
from provisioner.compat import roles as role_data
from provisioner.drift import DriftItem, RoleDrift
from provisioner.engine.survey import Surveyed, survey
from provisioner.errors import ProvisionError
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Privilege, Transport
from provisioner.report.result import HostResult, Status

VERIFY_SECONDS = 1800.0


def verify(transports: Sequence[Transport], settings: Settings) -> list[HostResult]:
    """Survey the hosts and hold the finished roles' state.yml against each. Changes nothing."""
    return at_once(_with_assertions, survey(transports, settings))


def _with_assertions(host: Surveyed) -> HostResult:
    result = host.result
    if result.plan is None:
        return result
    privilege: Privilege = "auto" if result.plan.scope == "system" else "none"
    try:
        asked = list(_assertions(host))
        if not asked:
            return result
        request = {"assertions": [assertion for _, assertion in asked]}
        answer = host.transport.call("probe.state", request, privilege=privilege, timeout=VERIFY_SECONDS)
    except ProvisionError as error:
        return result.failed(error)
    found = {item["id"]: item for item in answer["results"]}
    drift = tuple(
        _merged(item, [(a, found[a["id"]]) for role, a in asked if role == item.role])
        for item in result.drift
    )
    clean = all(item.status == "clean" for item in drift)
    return replace(result, drift=drift, status=Status.CONVERGED if clean else Status.DRIFTED)


def _assertions(host: Surveyed) -> Iterator[tuple[str, dict[str, Any]]]:
    """The assertions of each role that has been put here, as its own receipt's inputs render them."""
    assert host.result.facts is not None
    for role in host.plan.roles:
        receipt = host.result.facts.receipt(role, host.plan.scope)
        if receipt is not None and receipt.body is not None:
            # A role that has learnt a variable since then has used its default.
            inputs = {**role_data.defaults(role), **receipt.body.inputs}
            for assertion in render_state(layout.roles() / role, inputs):
                yield role, assertion


def _merged(drift: RoleDrift, results: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> RoleDrift:
    """A role's drift with what its assertions say added to it."""
    broken = [
        DriftItem(
            id=str(assertion["id"]),
            what=f"not so: {assertion['what']}"
            if result["ok"] is False
            else f"cannot tell: {assertion['what']}",
            expected=str(assertion["what"]),
            observed=str(result["observed"]),
        )
        for assertion, result in results
        if result["ok"] is not True
    ]
    if not broken:
        return drift
    certain = drift.status == "drifted" or any(result["ok"] is False for _, result in results)
    return RoleDrift(drift.role, "drifted" if certain else "unknown", (*drift.items, *broken))
