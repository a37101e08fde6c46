"""Verifying over fake boxes: receipts, assertions, and boxes that another version has left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provisioner.compat import Settings
from provisioner.engine.verify import verify
from provisioner.errors import ProvisionError
from provisioner.hosts.errors import Unreachable
from provisioner.report import words
from provisioner.report.result import HostResult, Status
from tests.unit.engine.test_converge import FakeTransport, finished_facts


class Box(FakeTransport):
    """A finished box whose assertions all hold, but for those in `broken`."""

    def __init__(self, name: str = "box", broken: tuple[str, ...] = ()) -> None:
        super().__init__(name, [])
        self.answer = finished_facts(name)
        self.broken = broken
        self.error: ProvisionError | None = None

    def call(self, entry: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
        if entry == "probe":
            return super().call(entry, request, **how)
        if self.error is not None:
            raise self.error
        if entry == "runtime.fingerprint":
            return {"differs": [f"a tensor in {request['path']} is wrong", "and 3 more"], "oddities": []}
        ids = [item["id"] for item in request["assertions"]]
        assert ids
        return {"results": [{"id": i, "ok": i not in self.broken, "observed": "seen"} for i in ids]}

    def inputs(self, role: str) -> dict[str, Any]:
        """The inputs in a role's receipt, to be changed."""
        assert isinstance(self.answer, dict)
        found: dict[str, Any] = next(
            r["body"]["inputs"] for r in self.answer["receipts"] if r["role"] == role
        )
        return found


def one(box: Box) -> HostResult:
    (result,) = verify([box], Settings())
    return result


def test_a_box_that_is_as_it_was_left() -> None:
    assert one(Box()).status is Status.CONVERGED


def test_an_assertion_that_does_not_hold_is_drift() -> None:
    result = one(Box(broken=("host_base.uv",)))
    found = [(d.role, d.status, i.id, i.observed) for d in result.drift for i in d.items]
    assert result.status is Status.DRIFTED
    assert found == [("host_base", "drifted", "host_base.uv", "seen")]


def test_a_deep_look_says_what_is_wrong_in_the_weights() -> None:
    box = Box(broken=("model_weights.content",))
    assert one(box).status is Status.CONVERGED, "nobody asked for a deep look"
    (result,) = verify([box], Settings(), deep=True)
    assert result.status is Status.DRIFTED
    path = "/var/lib/provisioner/models/gemma-3-270m-q4_k_m"
    assert [(item.id, item.what) for drift in result.drift for item in drift.items] == [
        (
            "model_weights.content",
            "not so: every file, read again, has the digest that was published or recorded for it: seen",
        ),
        ("model_weights.content", f"a tensor in {path} is wrong"),
        ("model_weights.content", "and 3 more"),
    ]
    assert words.next_step(result) == (
        "delete the files that are wrong: provision up fetches them, and only them, again"
    )


def test_a_receipt_from_before_a_role_learnt_a_variable_is_drift_and_no_error() -> None:
    box = Box()
    del box.inputs("host_base")["host_base_find_links"], box.inputs("host_base")["host_base_users"]
    result = one(box)
    assert result.status is Status.DRIFTED
    assert [item.id for drift in result.drift for item in drift.items] == [
        "host_base.inputs.host_base_find_links", "host_base.inputs.host_base_users",
    ]  # fmt: skip


def odd_input(box: Box) -> None:
    box.inputs("python_env").update(python_env_lock="gone", python_env_digest="")


def lost(box: Box) -> None:
    box.error = Unreachable("box: gone")


@pytest.mark.parametrize(
    ("change", "message"), [(odd_input, "lock gone: no such lock file"), (lost, "box: gone")]
)
def test_what_goes_wrong_with_one_box_stays_with_it(change: Callable[[Box], None], message: str) -> None:
    bad, good = Box("box"), Box("good")
    change(bad)
    results = verify([bad, good], Settings())
    assert [(result.status, result.error) for result in results] == [
        (Status.FAILED, message), (Status.CONVERGED, None),
    ]  # fmt: skip
