"""The answer in the smoke test's receipt holds for these weights, this lock, this driver and this kernel."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from provisioner import argspec, layout
from provisioner.ansible.action import provision_receipt as receipt
from provisioner.yamlfile import load_yaml

RESOURCES = [
    {"id": "smoke_test.kernel", "kind": "kernel"},
    {"id": "smoke_test.driver", "kind": "driver"},
    {"id": "smoke_test.env", "kind": "tree", "path": "/e/llama-0123456789ab"},
    {"id": "smoke_test.model", "kind": "tree", "path": "/m"},
]
SEEN: dict[str, dict[str, Any]] = {
    "smoke_test.kernel": {"state": "present", "release": "6.1"},
    "smoke_test.driver": {"state": "present", "version": "550.1"},
    "smoke_test.env": {"state": "present", "entries": {"site-packages/xllamacpp": "a"}},
    "smoke_test.model": {"state": "present", "entries": {"m.gguf": "1:2:3"}},
}
BODY = {
    "role_digest": "d", "inputs": {}, "result": {"text": "hello"},
    "resources": [{**item, "value": SEEN[item["id"]], "prior": SEEN[item["id"]]} for item in RESOURCES],
}  # fmt: skip
CHANGES: dict[str, dict[str, Any]] = {
    "smoke_test.kernel": {"release": "6.2"},
    "smoke_test.driver": {"version": None},
    "smoke_test.env": {"entries": {"site-packages/xllamacpp": "b"}},
    "smoke_test.model": {"entries": {"m.gguf": "1:9:3"}},
}


def held(observed: dict[str, Any], resources: list[dict[str, Any]] | None = None) -> Any:
    facts = {"receipts": [{"role": "smoke_test", "body": BODY, "observed": observed}]}
    return receipt.holds(facts, "smoke_test", "d", {}, RESOURCES if resources is None else resources)


def test_nothing_changed_and_it_holds() -> None:
    assert held(SEEN) == {"text": "hello"}


@pytest.mark.parametrize("name", CHANGES)
def test_each_of_them_makes_the_model_answer_again(name: str) -> None:
    observed = copy.deepcopy(SEEN)
    observed[name].update(CHANGES[name])
    assert held(observed) is None


def test_another_lock_is_another_environment() -> None:
    other = [
        {**item, "path": "/e/llama-ba9876543210"} if item["id"] == "smoke_test.env" else item
        for item in RESOURCES
    ]
    assert held(SEEN, other) is None


def test_the_role_looks_at_just_these() -> None:
    role = load_yaml((layout.roles() / "smoke_test/vars/main.yml").read_text(encoding="utf-8"))
    assert [item["id"] for item in role["_smoke_test_resources"]] == list(CHANGES)


def test_the_job_is_asked_what_the_role_is_told() -> None:
    """One place for both: `provision smoke` and the role send the same."""
    values = argspec.read_defaults(layout.roles() / "smoke_test")
    spec = argspec.job_spec("smoke_test", values, argspec.SMOKE_WITHOUT)
    assert {f"smoke_test_{name}" for name in spec} == set(values) - {"smoke_test_env"}
    assert (spec["runtime"], spec["tokens"]) == ("llama", 50)
