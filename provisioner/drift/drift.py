"""Drift(Facts, Plan): pure, so that every case is a row in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provisioner.drift.compare import differences
from provisioner.drift.show import shown, shown_digest, thing
from provisioner.facts import Body, Facts, Receipt

Status = Literal["clean", "drifted", "unknown"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan wants of a role: its public variables, its digest, and the scope its receipt lies in."""

    inputs: Mapping[str, Any]
    role_digest: str
    scope: str


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One difference: `id` is stable, `what` a sentence; no secret is in any of them."""

    id: str
    what: str
    expected: str
    observed: str


@dataclass(frozen=True, slots=True)
class RoleDrift:
    """What became of one role. `unknown` means that something could not be read, never that all is well."""

    role: str
    status: Status
    items: tuple[DriftItem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Finding:
    item: DriftItem
    certain: bool = True


def drift(facts: Facts, plan_roles: Mapping[str, Expected]) -> list[RoleDrift]:
    """One RoleDrift a role, in the plan's order.

    A role with a difference that is certain is drifted, also when something else of it is unknown.
    """
    return [_judge(role, list(_findings(facts, role, wanted))) for role, wanted in plan_roles.items()]


def rerun(drifts: Sequence[RoleDrift], after: Mapping[str, Sequence[str]]) -> list[str]:
    """The roles to run, in order: those that are not clean, and those that stand on one that runs.

    `after` maps a role to the roles that it stands on.
    """
    running: set[str] = {item.role for item in drifts if item.status != "clean"}
    while True:
        more = {item.role for item in drifts if running.intersection(after.get(item.role, ()))} - running
        if not more:
            return [item.role for item in drifts if item.role in running]
        running |= more


def _judge(role: str, findings: Sequence[_Finding]) -> RoleDrift:
    status: Status = "clean"
    if findings:
        status = "drifted" if any(finding.certain for finding in findings) else "unknown"
    return RoleDrift(role, status, tuple(finding.item for finding in findings))


def _findings(facts: Facts, role: str, wanted: Expected) -> Iterator[_Finding]:
    wish = next((one for one in facts.awaiting if (one.role, one.scope) == (role, wanted.scope)), None)
    if wish is not None:
        waits = "it goes on after the restart" if wish.restarted else "it waits for a restart of the machine"
        observed = "restarted" if wish.restarted else "not restarted since"
        yield _Finding(DriftItem(f"{role}.restart", f"{waits}: {wish.why}", "a finished run", observed))
    elif role in facts.pending:
        what = "its last run did not finish"
        yield _Finding(DriftItem(f"{role}.interrupted", what, "a finished run", "an interrupted run"))
    receipt = facts.receipt(role, wanted.scope)
    if receipt is None:
        yield _no_receipt(facts, role, wanted.scope)
    elif receipt.body is None:
        why = receipt.error or "it is empty"
        what = f"its receipt {receipt.path} cannot be used: {why}"
        yield _Finding(DriftItem(f"{role}.receipt", what, "a receipt", why), certain=False)
    else:
        yield from _role(role, receipt.body, wanted)
        yield from _inputs(role, receipt.body, wanted)
        yield from _resources(receipt, receipt.body)


def _no_receipt(facts: Facts, role: str, scope: str) -> _Finding:
    why = facts.why_unknown(f"receipts.{scope}") or facts.why_unknown("receipts")
    if why is not None:
        what = f"its receipt could not be looked for: {why}"
        return _Finding(DriftItem(f"{role}.receipt", what, "a receipt", why), certain=False)
    other = next((receipt.scope for receipt in facts.receipts if receipt.role == role), None)
    observed = "no receipt" if other is None else f"a receipt of scope {other} only"
    what = "it has not been put here yet" if other is None else f"it is here in scope {other} only"
    return _Finding(DriftItem(f"{role}.receipt", what, f"a receipt of scope {scope}", observed))


def _role(role: str, body: Body, wanted: Expected) -> Iterator[_Finding]:
    if body.role_digest != wanted.role_digest:
        expected, observed = shown_digest(wanted.role_digest), shown_digest(body.role_digest)
        what = "the role itself has changed since it ran"
        yield _Finding(DriftItem(f"{role}.role", what, expected, observed))


def _inputs(role: str, body: Body, wanted: Expected) -> Iterator[_Finding]:
    absent = object()
    for key in sorted({*body.inputs, *wanted.inputs}):
        old, new = body.inputs.get(key, absent), wanted.inputs.get(key, absent)
        if _plain(old) != _plain(new):
            expected = "not set" if new is absent else shown(key, new)
            observed = "not set" if old is absent else shown(key, old)
            what = f"{key} is to be {expected}, was {observed}"
            if expected == observed:  # they differ where it is not shown
                what = f"{key} has changed"
            yield _Finding(DriftItem(f"{role}.inputs.{key}", what, expected, observed))


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON: the two sides must not differ by tuple and list alone."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    # In Python True == 1 and 1 == 1.0, in YAML and JSON they are different wishes.
    return (type(value).__name__, value) if isinstance(value, (bool, int, float)) else value


def _resources(receipt: Receipt, body: Body) -> Iterator[_Finding]:
    for known in body.resources:
        name, value = known["id"], known["value"]
        called = thing(known)
        now = receipt.observed.get(name, {"state": "unknown", "why": "the probe did not look"})
        if now.get("state") not in {"present", "absent"}:  # also when it was unknown before
            why = str(now.get("why", "no reason given"))
            what = f"{called} could not be read: {why}"
            yield _Finding(DriftItem(name, what, "as the receipt says", why), certain=False)
        elif now == value:
            continue
        elif now["state"] == "absent":
            yield _Finding(DriftItem(name, f"{called} is gone", "present", "absent"))
        elif value.get("state") != "present":
            yield _Finding(DriftItem(name, f"{called} is there", str(value.get("state")), "present"))
        else:
            expected, observed = differences(value, now)
            what = f"{called}: {observed}, was {expected}" if expected else f"{called}: {observed}"
            yield _Finding(DriftItem(name, what, expected or "as the receipt says", observed))
