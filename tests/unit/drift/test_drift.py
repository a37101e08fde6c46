from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from provisioner.drift import DriftItem, Expected, RoleDrift, drift, rerun
from provisioner.facts import Awaiting, Body, Facts, OperatingSystem, Receipt, Unknown, User

FILE = {"state": "present", "type": "file", "mode": "0644", "owner": 0, "sha256": "a" * 64}
INPUTS = {"host_base_packages": ["git"], "host_base_lock": 300}
WANTED = Expected(inputs=INPUTS, role_digest="digest-one", scope="system")


def facts(*receipts: Receipt, **more: Any) -> Facts:
    return Facts(
        schema=1,
        hostname="box",
        os=OperatingSystem(),
        python=None,
        user=User("root", 0),
        privilege="root",
        receipts=receipts,
        **more,
    )


def receipt(
    observed: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] = INPUTS,
    digest: str = "digest-one",
    value: Mapping[str, Any] = FILE,
) -> Receipt:
    return Receipt(
        scope="system",
        role="host_base",
        path="/s/receipts/host_base.json",
        body=Body(
            schema=1,
            role="host_base",
            role_digest=digest,
            inputs=dict(inputs),
            resources=({"id": "host_base.conf", "kind": "file", "path": "/etc/conf", "value": value},),
        ),
        observed={"host_base.conf": dict(FILE)} if observed is None else dict(observed),
    )


def tree(**entries: str) -> dict[str, Any]:
    return {"state": "present", "entries": entries}


def item(name: str, what: str, expected: str, observed: str) -> DriftItem:
    return DriftItem(f"host_base.{name}", what, expected, observed)


def conf(observation: Mapping[str, Any], value: Mapping[str, Any] = FILE) -> Facts:
    return facts(receipt({"host_base.conf": observation}, value=value))


Case = tuple[Facts, str, list[DriftItem]]
CASES: dict[str, Case] = {
    "nothing differs": (facts(receipt()), "clean", []),
    "no receipt": (
        facts(),
        "drifted",
        [item("receipt", "it has not been put here yet", "a receipt of scope system", "no receipt")],
    ),
    "a receipt of another scope": (
        facts(Receipt(scope="user", role="host_base", path="/h", error="x")),
        "drifted",
        [
            item(
                "receipt",
                "it is here in scope user only",
                "a receipt of scope system",
                "a receipt of scope user only",
            )
        ],
    ),
    "receipts that cannot be listed": (
        facts(unknown=(Unknown("receipts.system", "/s: Permission denied"),)),
        "unknown",
        [
            item(
                "receipt",
                "its receipt could not be looked for: /s: Permission denied",
                "a receipt",
                "/s: Permission denied",
            )
        ],
    ),
    "receipts of the other scope that cannot be listed": (
        facts(unknown=(Unknown("receipts.user", "no"),)),
        "drifted",
        [item("receipt", "it has not been put here yet", "a receipt of scope system", "no receipt")],
    ),
    "an unreadable receipt": (
        facts(Receipt(scope="system", role="host_base", path="/s/x.json", error="it is not JSON")),
        "unknown",
        [
            item(
                "receipt",
                "its receipt /s/x.json cannot be used: it is not JSON",
                "a receipt",
                "it is not JSON",
            )
        ],
    ),
    "an interrupted run": (
        facts(receipt(), pending=("host_base",)),
        "drifted",
        [
            item(
                "interrupted",
                "its last run did not finish",
                "a finished run",
                "an interrupted run",
            )
        ],
    ),
    "a run that waits for a restart": (
        facts(
            receipt(),
            pending=("host_base",),
            awaiting=(Awaiting("system", "host_base", "nouveau is loaded", "7d8c:1", restarted=False),),
        ),
        "drifted",
        [
            item(
                "restart",
                "it waits for a restart of the machine: nouveau is loaded",
                "a finished run",
                "not restarted since",
            )
        ],
    ),
    "a run whose restart was": (
        facts(
            receipt(),
            pending=("host_base",),
            awaiting=(Awaiting("system", "host_base", "nouveau is loaded", "7d8c:1", restarted=True),),
        ),
        "drifted",
        [
            item(
                "restart",
                "it goes on after the restart: nouveau is loaded",
                "a finished run",
                "restarted",
            )
        ],
    ),
    "another role's interrupted run": (facts(receipt(), pending=("python_env",)), "clean", []),
    "another role digest": (
        facts(receipt(digest="0123456789abcdef")),
        "drifted",
        [item("role", "the role itself has changed since it ran", "digest-one", "0123456789ab")],
    ),
    "inputs": (
        facts(
            receipt(inputs={"host_base_lock": 300.0, "host_base_packages": ["git"], "host_base_old": None})
        ),
        "drifted",
        [
            item("inputs.host_base_lock", "host_base_lock is to be 300, was 300.0", "300", "300.0"),
            item("inputs.host_base_old", "host_base_old is to be not set, was null", "not set", "null"),
        ],
    ),
    "a new input": (
        facts(receipt(inputs={"host_base_lock": 300})),
        "drifted",
        [
            item(
                "inputs.host_base_packages",
                'host_base_packages is to be ["git"], was not set',
                '["git"]',
                "not set",
            )
        ],
    ),
    "a property": (
        conf({**FILE, "mode": "0600", "sha256": "b" * 64}),
        "drifted",
        [
            item(
                "conf",
                "/etc/conf: mode 0600, sha256 bbbbbbbbbbbb, was mode 0644, sha256 aaaaaaaaaaaa",
                "mode 0644, sha256 aaaaaaaaaaaa",
                "mode 0600, sha256 bbbbbbbbbbbb",
            )
        ],
    ),
    "gone": (conf({"state": "absent"}), "drifted", [item("conf", "/etc/conf is gone", "present", "absent")]),
    "there again": (
        conf(FILE, value={"state": "absent"}),
        "drifted",
        [item("conf", "/etc/conf is there", "absent", "present")],
    ),
    "unknown": (
        conf({"state": "unknown", "why": "/etc/conf: Permission denied"}),
        "unknown",
        [
            item(
                "conf",
                "/etc/conf could not be read: /etc/conf: Permission denied",
                "as the receipt says",
                "/etc/conf: Permission denied",
            )
        ],
    ),
    "not looked at": (
        facts(receipt({})),
        "unknown",
        [
            item(
                "conf",
                "/etc/conf could not be read: the probe did not look",
                "as the receipt says",
                "the probe did not look",
            )
        ],
    ),
    "unknown now as then": (
        conf({"state": "unknown", "why": "x"}, value={"state": "unknown", "why": "x"}),
        "unknown",
        [item("conf", "/etc/conf could not be read: x", "as the receipt says", "x")],
    ),
    "unknown and drifted": (
        facts(receipt({}, digest="digest-two")),
        "drifted",
        [
            item("role", "the role itself has changed since it ran", "digest-one", "digest-two"),
            item(
                "conf",
                "/etc/conf could not be read: the probe did not look",
                "as the receipt says",
                "the probe did not look",
            ),
        ],
    ),
    "a tree": (
        conf(tree(a="1", c="2", e="5"), value=tree(a="1", b="1", c="1")),
        "drifted",
        [
            item(
                "conf",
                "/etc/conf: added e; removed b; changed c",
                "as the receipt says",
                "added e; removed b; changed c",
            )
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_drift_of_one_role(name: str) -> None:
    seen, status, items = CASES[name]
    assert drift(seen, {"host_base": WANTED}) == [RoleDrift("host_base", status, tuple(items))]  # type: ignore[arg-type]


def test_roles_keep_the_order_of_the_plan() -> None:
    plan = dict.fromkeys(("smoke_test", "host_base", "python_env"), WANTED)
    found = drift(facts(receipt()), plan)
    assert [(entry.role, entry.status) for entry in found] == [
        ("smoke_test", "drifted"),
        ("host_base", "clean"),
        ("python_env", "drifted"),
    ]


def test_lists_and_tuples_and_mappings_are_compared_as_json() -> None:
    kept = {"host_base_packages": ["git"], "host_base_lock": 300}
    wanted = Expected({"host_base_packages": ("git",), "host_base_lock": 300}, "digest-one", "system")
    assert drift(facts(receipt(inputs=kept)), {"host_base": wanted}) == [RoleDrift("host_base", "clean")]


def test_secrets_are_not_shown_even_when_they_changed() -> None:
    wanted = Expected({"host_base_hub_token": "new-secret"}, "digest-one", "system")
    found = drift(facts(receipt(inputs={"host_base_hub_token": "old-secret"})), {"host_base": wanted})
    assert found == [
        RoleDrift(
            "host_base",
            "drifted",
            (
                item(
                    "inputs.host_base_hub_token",
                    "host_base_hub_token has changed",
                    "(not shown)",
                    "(not shown)",
                ),
            ),
        )
    ]


AFTER = {"smoke_test": ("python_env", "model_weights"), "model_server": ("smoke_test",)}
ORDER = ("host_base", "python_env", "model_weights", "smoke_test", "model_server")


@pytest.mark.parametrize(
    ("status", "roles"),
    [
        ({}, []),
        ({"host_base": "drifted"}, ["host_base"]),
        ({"host_base": "unknown"}, ["host_base"]),
        ({"python_env": "drifted"}, ["python_env", "smoke_test", "model_server"]),
        ({"model_weights": "unknown"}, ["model_weights", "smoke_test", "model_server"]),
        ({"smoke_test": "drifted", "host_base": "drifted"}, ["host_base", "smoke_test", "model_server"]),
        ({"model_server": "drifted"}, ["model_server"]),
    ],
)
def test_what_stands_on_a_mended_role_runs_again(status: dict[str, Any], roles: list[str]) -> None:
    assert rerun([RoleDrift(role, status.get(role, "clean")) for role in ORDER], AFTER) == roles
