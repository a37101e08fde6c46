"""Receipts and assertions side by side: two independent opinions on whether a box is as it was left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from provisioner import layout
from provisioner.ansible.state import DEEP_SECONDS, SECONDS, hold, render_state
from provisioner.compat import Settings
from provisioner.compat import roles as role_data
from provisioner.drift import DriftItem, RoleDrift
from provisioner.engine.survey import Surveyed, survey
from provisioner.errors import ProvisionError
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Privilege, Transport
from provisioner.report.result import HostResult, Status


def verify(transports: Sequence[Transport], settings: Settings, *, deep: bool = False) -> list[HostResult]:
    """Survey the hosts and hold the finished roles' state.yml against each. Changes nothing.

    `deep` also makes the assertions that take long: all weights are read again.
    """
    return at_once(partial(_with_assertions, deep=deep), survey(transports, settings))


def _with_assertions(host: Surveyed, deep: bool) -> HostResult:
    result = host.result
    if result.plan is None:
        return result
    privilege: Privilege = "auto" if result.plan.scope == "system" else "none"
    try:
        asked = list(_assertions(host, deep))
        if not asked:
            return result
        seconds = DEEP_SECONDS if deep else SECONDS
        results = hold(
            [assertion for _, assertion in asked],
            lambda entry, request: host.transport.call(entry, request, privilege=privilege, timeout=seconds),
        )
    except ProvisionError as error:
        return result.failed(error)
    found = {item["id"]: item for item in results}
    drift = tuple(
        _merged(item, [(a, found[a["id"]]) for role, a in asked if role == item.role])
        for item in result.drift
    )
    clean = all(item.status == "clean" for item in drift)
    return replace(result, drift=drift, status=Status.CONVERGED if clean else Status.DRIFTED)


def _assertions(host: Surveyed, deep: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """The assertions of each role that has been put here, as its own receipt's inputs render them."""
    assert host.result.facts is not None
    for role in host.plan.roles:
        receipt = host.result.facts.receipt(role, host.plan.scope)
        if receipt is not None and receipt.body is not None:
            # A role that has learnt a variable since then has used its default.
            inputs = {**role_data.defaults(role), **receipt.body.inputs}
            for assertion in render_state(layout.roles() / role, inputs, deep=deep):
                yield role, assertion


def _merged(drift: RoleDrift, results: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> RoleDrift:
    """A role's drift with what its assertions say added to it."""
    broken = [
        DriftItem(
            id=str(assertion["id"]),
            what=f"{'not so' if result['ok'] is False else 'cannot tell'}: {assertion['what']}"
            # What the sentences below explain.
            + (f": {result['observed']}" if "why" in result else ""),
            expected=str(assertion["what"]),
            observed=str(result["observed"]),
        )
        for assertion, result in results
        if result["ok"] is not True
    ]
    broken += [
        DriftItem(id=str(assertion["id"]), what=str(sentence), expected="", observed=str(sentence))
        for assertion, result in results
        for sentence in result.get("why", ())
    ]
    if not broken:
        return drift
    certain = drift.status == "drifted" or any(result["ok"] is False for _, result in results)
    return RoleDrift(drift.role, "drifted" if certain else "unknown", (*drift.items, *broken))
