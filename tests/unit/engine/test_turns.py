"""A run with restarts in it: who is restarted, who is not, and that the rest goes on by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from provisioner.compat import Settings
from provisioner.engine import converge as module
from provisioner.engine.converge import converge
from provisioner.engine.events import Event
from provisioner.engine.reboot import BY_THE_RUN, Restarts
from provisioner.engine.run import HostJob, HostOutcome
from provisioner.errors import ProvisionError
from provisioner.hosts.transport import Access
from provisioner.report.result import HostResult, Status
from tests.unit.compat.test_plan import facts
from tests.unit.engine.test_converge import BUSY, HELD, FakeTransport, finished_facts, surveyed
from tests.unit.engine.test_reboot import FakeClock

WHY = "nouveau is loaded"


def wish(role: str, *, restarted: bool) -> dict[str, Any]:
    return {"scope": "system", "role": role, "why": WHY, "boot": "a:1", "restarted": restarted}


def waiting(name: str, *, restarted: bool = False) -> dict[str, Any]:
    """What a box answers of which one role waits, and whose model has not answered yet."""
    done = finished_facts(name)
    left = ("host_base", "smoke_test")
    receipts = [one for one in done["receipts"] if one["role"] not in left]
    return facts(
        hostname=name, receipts=receipts, pending=["host_base"],
        awaiting=[wish("host_base", restarted=restarted)],
    ).to_json()  # fmt: skip


class Box(FakeTransport):
    """A box that comes back from each restart at once, `restarts` of them wanted."""

    def __init__(self, name: str, lock: Sequence[dict[str, Any]] = HELD) -> None:
        super().__init__(name, lock)
        self.boots = 1
        self.closed_before_it_went: list[bool] = []
        self.dead = False
        self.waiting: Callable[..., Any] = waiting

    def call(self, entry: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
        if entry != "system.restart":
            return super().call(entry, request, **how)
        if request["do"] == "restart":
            self.closed_before_it_went.append(self.channel.closed)
            self.boots += not self.dead
            self.answer = self.waiting(self.target.name, restarted=True)
        return {"boot": f"{self.boots}:1", "said": "", "starting": False}


class Play:
    """Instead of Ansible: each play of a box takes the next of its outcomes."""

    def __init__(self, boxes: Sequence[Box], wants: int) -> None:
        self.boxes = {box.target.name: box for box in boxes}
        self.wants = dict.fromkeys(self.boxes, wants)
        self.seen: list[tuple[str, list[str]]] = []

    def __call__(self, jobs: Sequence[HostJob], *_: Any, **__: Any) -> dict[str, HostOutcome]:
        ended = {}
        for job in jobs:
            self.seen.append((job.name, list(job.roles)))
            wants = self.wants[job.name] > 0
            self.wants[job.name] -= 1
            box = self.boxes[job.name]
            box.answer = box.waiting(job.name) if wants else finished_facts(job.name)
            ended[job.name] = HostOutcome(job.name, None, changed=2, reboot=WHY if wants else None)
        return ended


Run = Callable[..., dict[str, HostResult]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def go(boxes: Sequence[Box], play: Play, restarts: Restarts = BY_THE_RUN) -> dict[str, HostResult]:
        monkeypatch.setattr(module, "run_roles", play)
        events: list[Event] = []
        hosts = [surveyed(box) for box in boxes]
        results = converge(
            hosts, Settings(), events.append, run="r1", access=Access(), share=False,
            restarts=restarts, clock=FakeClock(),
        )  # fmt: skip
        return {result.name: result for result in results}

    return go


ALL = ["host_base", "python_env", "model_weights", "smoke_test"]


def test_a_box_that_needs_a_restart_gets_it_and_goes_on_with_what_is_left(run: Run) -> None:
    box = Box("box")
    play = Play([box], wants=1)
    result = run([box], play)["box"]
    assert (result.status, result.changed, result.restart) == (Status.DONE, 4, None)
    assert play.seen == [("box", ALL), ("box", ["host_base", "smoke_test"])]
    assert box.boots == 2
    assert box.closed_before_it_went == [True], "nobody holds its lock over the restart"
    assert [drift.role for drift in result.drift] == ALL, "what differed is what differed at first"


def test_what_was_left_out_before_the_restart_runs_after_it_though_its_receipt_holds(run: Run) -> None:
    box = Box("box")
    play = Play([box], wants=1)

    def proved(name: str, *, restarted: bool = False) -> dict[str, Any]:
        waits = wish("host_base", restarted=restarted)
        return {**finished_facts(name), "pending": ["host_base"], "awaiting": [waits]}

    box.waiting = proved
    run([box], play)
    assert play.seen[1] == ("box", ["host_base", "smoke_test"])


def test_two_restarts_are_the_most(run: Run) -> None:
    box = Box("box")
    result = run([box], Play([box], wants=9))["box"]
    assert (result.status, result.error) == (
        Status.FAILED, f"after 2 restarts it needs yet another: {WHY}",
    )  # fmt: skip
    assert box.boots == 3


def test_without_leave_a_box_ends_as_it_is_and_nothing_restarts(run: Run) -> None:
    box = Box("box")
    result = run([box], Play([box], wants=1), Restarts(elsewhere=False))["box"]
    assert (result.status, result.restart, result.changed) == (Status.REBOOT, WHY, 2)
    assert box.boots == 1


def test_a_box_that_waits_already_restarts_before_anything_is_done_again(run: Run) -> None:
    box, other = Box("box"), Box("other")
    box.answer = waiting("box")
    play = Play([box, other], wants=0)
    results = run([box, other], play)
    assert {name: result.status for name, result in results.items()} == {
        "box": Status.DONE, "other": Status.DONE,
    }  # fmt: skip
    assert play.seen == [("other", ALL), ("box", ["host_base", "smoke_test"])], "nobody waits for the box"
    assert (box.boots, other.boots) == (2, 1)


def test_a_box_that_another_run_works_on_is_not_restarted(run: Run) -> None:
    box = Box("box", BUSY)
    box.answer = waiting("box")
    result = run([box], Play([box], wants=0))["box"]
    assert (result.status, box.boots) == (Status.FAILED, 1)
    assert result.error == "box: another run is at work there: ann@desk"


def test_a_box_that_does_not_come_back_is_named_and_the_others_end_well(run: Run) -> None:
    box, other = Box("box"), Box("other")
    box.dead = True
    results = run([box, other], Play([box, other], wants=1))
    assert results["other"].status is Status.DONE
    assert (results["box"].status, results["box"].error) == (
        Status.FAILED, "box: it has not restarted within 10 min: it answers, and from the same start",
    )  # fmt: skip


def test_a_box_that_is_lost_after_its_restart_is_a_failure(run: Run) -> None:
    box = Box("box")

    def lost(name: str, *, restarted: bool = False) -> Any:
        return ProvisionError("box: gone", hint="look") if restarted else waiting(name)

    box.waiting = lost
    result = run([box], Play([box], wants=1))["box"]
    assert (result.status, result.error, result.hint) == (Status.FAILED, "box: gone", "look")


def test_a_role_that_fails_beside_one_that_waits_is_a_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box("box")

    def failing(*_: Any, **__: Any) -> dict[str, HostOutcome]:
        box.answer = waiting("box")
        return {"box": HostOutcome("box", "no space", "model_weights", reboot=WHY)}

    play = Play([box], wants=0)
    monkeypatch.setattr(play, "__class__", type("Failing", (Play,), {"__call__": failing}))
    result = run([box], play)["box"]
    assert (result.status, result.error, box.boots) == (Status.FAILED, "no space", 1)
