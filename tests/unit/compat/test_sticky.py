"""An environment that is there and will do stays, until a newer one is asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from provisioner import profiles
from provisioner.compat import Plan, Settings, make_plan
from provisioner.compat.decide import Decision
from provisioner.compat.sticky import environment_digest, environment_stays, unsatisfied, weights_stay
from provisioner.profiles import Environment

from .test_plan import facts

OLD, NEW = "0123456789ab", profiles.lock_digest("llama")[:12]
LLAMA = profiles.load("gemma3-270m").environment
PATH = f"/opt/provisioner/envs/llama-{OLD}"
PACKAGES = {"xllamacpp": "2026.10.11549", "pykdtree": "1.4.3"}
Change = Callable[[dict[str, Any]], None]


def receipt() -> dict[str, Any]:
    """Of python_env, with an environment from a lock of another version of the tool."""
    whole: list[dict[str, Any]] = [
        {"id": "python_env.env", "kind": "tree", "path": PATH, "value": {"state": "present", "entries": {}}},
        {"id": "python_env.lock", "kind": "file", "path": f"{PATH}.txt", "value": {"state": "present"}},
    ]
    body = {
        "schema": 1, "role": "python_env", "role_digest": "d", "inputs": {}, "resources": whole,
        "result": {"path": PATH, "python": "3.11.2", "packages": dict(PACKAGES)},
    }  # fmt: skip
    return {
        "scope": "system", "role": "python_env", "path": "/r/python_env.json", "body": body,
        "observed": {known["id"]: copy.deepcopy(known["value"]) for known in whole},
    }  # fmt: skip


def digest_after(change: Change, *, upgrade: bool = False, wanted: Environment = LLAMA) -> str:
    told = receipt()
    change(told)
    return environment_digest(facts(receipts=[told]), "system", wanted, upgrade=upgrade)


def nothing(_: dict[str, Any]) -> None:
    """As it was."""


def test_what_will_do_stays_and_an_upgrade_takes_the_newest() -> None:
    assert digest_after(nothing) == OLD
    assert digest_after(nothing, upgrade=True) == NEW
    assert environment_digest(facts(), "system", LLAMA, upgrade=False) == NEW


def older(told: dict[str, Any]) -> None:
    told["body"]["result"]["packages"]["xllamacpp"] = "2025.1.1"


def without_a_package(told: dict[str, Any]) -> None:
    del told["body"]["result"]["packages"]["pykdtree"]


def no_version(told: dict[str, Any]) -> None:
    told["body"]["result"]["packages"]["xllamacpp"] = "today's"


def old_python(told: dict[str, Any]) -> None:
    told["body"]["result"]["python"] = "3.9.2"


def damaged(told: dict[str, Any]) -> None:
    told["observed"]["python_env.env"] = {"state": "present", "entries": {"bin": "x"}}


def lock_lost(told: dict[str, Any]) -> None:
    told["observed"]["python_env.lock"] = {"state": "absent"}


def of_before_locks_were_kept(told: dict[str, Any]) -> None:
    del told["body"]["resources"][1]


def another_profile(told: dict[str, Any]) -> None:
    told["body"]["resources"][0]["path"] = f"/opt/provisioner/envs/transformers-cpu-{OLD}"


def no_result(told: dict[str, Any]) -> None:
    told["body"]["result"] = None


def unreadable(told: dict[str, Any]) -> None:
    told.update(body=None, error="it is not JSON")


@pytest.mark.parametrize(
    "change",
    [
        older, without_a_package, no_version, old_python, damaged, lock_lost, of_before_locks_were_kept,
        another_profile, no_result, unreadable,
    ],
)  # fmt: skip
def test_what_will_not_do_is_replaced(change: Change) -> None:
    assert digest_after(change) == NEW


def test_a_lock_of_the_users_own_is_meant_as_it_is_now(tmp_path: Any) -> None:
    own = tmp_path / "env.txt"
    own.write_text("xllamacpp==2026.10.11549 --hash=sha256:00\n")
    wanted = Environment(lock=str(own), python=">=3.10")
    assert digest_after(nothing, wanted=wanted) == profiles.lock_digest(str(own))[:12]


def test_what_is_lacking_is_named() -> None:
    assert list(unsatisfied(LLAMA, "3.9.1", {"xllamacpp": "2026.10.11549"})) == [
        "Python >=3.10",
        "pykdtree==1.4.3 ; sys_platform == 'linux'",
    ]


def test_the_whole_plan_goes_by_what_stays() -> None:
    plan = make_plan(facts(receipts=[receipt()]), Settings())
    assert isinstance(plan, Plan)
    assert plan.roles["python_env"]["python_env_digest"] == OLD
    assert plan.roles["smoke_test"]["smoke_test_env"] == PATH
    newer = make_plan(facts(receipts=[receipt()]), Settings(upgrade=True))
    assert isinstance(newer, Plan)
    assert newer.roles["smoke_test"]["smoke_test_env"] == f"/opt/provisioner/envs/llama-{NEW}"


@pytest.mark.parametrize("name", profiles.names())
def test_every_shipped_lock_has_requirements_that_can_be_read(name: str) -> None:
    from packaging.requirements import Requirement

    lock = profiles.load(name).environment.lock
    assert [Requirement(text) for text in profiles.lock_requirements(lock)]


GPU = {"address": "0000:01:00.0", "vendor": "0x10de", "device": "0x2684", "memory_bytes": 25_757_220_864}


@pytest.mark.parametrize(
    ("chosen", "upgrade", "profile"),
    [(True, False, "gemma3-270m"), (False, True, "gemma3-270m"), (True, True, "autoglm-phone-9b")],
)
def test_a_profile_that_nobody_named_is_chosen_anew_by_an_upgrade(
    chosen: bool, upgrade: bool, profile: str
) -> None:
    told = receipt()
    told["body"]["request"] = {"profile": "gemma3-270m", "chosen": chosen}
    box = facts(receipts=[told], gpus=[GPU], driver_version="580.65.06")
    plan = make_plan(box, Settings(upgrade=upgrade))
    assert isinstance(plan, Plan)
    assert (plan.profile.name, plan.request["chosen"]) == (profile, chosen)


def weights(**changes: Any) -> dict[str, Any]:
    """A receipt of model_weights for the default model, whole."""
    model = profiles.load("gemma3-270m").model
    told = receipt() | {"role": "model_weights", "path": "/r/model_weights.json"}
    inputs = {"model_weights_name": model.name, "model_weights_source": model.source}
    return told | {"body": told["body"] | {"role": "model_weights", "inputs": inputs | changes}}


def test_what_stays_is_planned_as_kept() -> None:
    model = profiles.load("gemma3-270m").model
    there = facts(receipts=[receipt(), weights()])
    assert environment_stays(there, "system", LLAMA, upgrade=False)
    assert not environment_stays(there, "system", LLAMA, upgrade=True)
    assert not environment_stays(facts(), "system", LLAMA, upgrade=False)
    assert weights_stay(there, "system", model)
    assert not weights_stay(there, "user", model)
    plan = make_plan(there, Settings())
    assert isinstance(plan, Plan)
    assert isinstance(plan.outline.decided, Decision)
    assert plan.outline.decided.route("environment").action == "keep"


@pytest.mark.parametrize(
    "changes", [{"model_weights_name": "other"}, {"model_weights_source": {"type": "path"}}]
)
def test_other_weights_do_not_stay(changes: dict[str, Any]) -> None:
    there = facts(receipts=[weights(**changes)])
    assert not weights_stay(there, "system", profiles.load("gemma3-270m").model)


@pytest.mark.parametrize("change", [damaged, lock_lost, unreadable])
def test_damaged_weights_do_not_stay(change: Change) -> None:
    told = weights()
    change(told)
    assert not weights_stay(facts(receipts=[told]), "system", profiles.load("gemma3-270m").model)
