"""A restart over a fake connection and a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from provisioner.compat import Settings
from provisioner.engine.events import Event, Kind
from provisioner.engine.reboot import Restarts, held_up, restart
from provisioner.engine.survey import Surveyed, judge
from provisioner.errors import ProvisionError
from provisioner.hosts.errors import ConnectionLost, HostKeyChanged, Refused, Unreachable
from provisioner.hosts.target import this_machine
from provisioner.report.result import Status
from tests.unit.compat.test_plan import facts
from tests.unit.engine.test_converge import FakeTransport


@dataclass
class FakeClock:
    """Time that passes by sleeping."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


Look = Callable[[float], dict[str, Any]]


def up(boot: str, *, said: str = "", starting: bool = False) -> dict[str, Any]:
    """What a machine answers that is there."""
    return {"boot": boot, "said": said, "starting": starting}


GONE = Unreachable("box: no route", hint="look at it")


class Restarting(FakeTransport):
    """A box whose looks are told by the seconds since it was asked to restart."""

    def __init__(self, clock: FakeClock, look: Look) -> None:
        super().__init__("box", [])
        self.clock, self.look = clock, look
        self.asked: list[str] = []
        self.forgotten = 0

    def call(self, entry: str, request: dict[str, Any], **_: Any) -> dict[str, Any]:
        assert (entry, request["state"]) == ("system.restart", "/var/lib/provisioner")
        self.asked.append(request["do"])
        return up("a:1") if len(self.asked) < 3 else self.look(self.clock.now())

    def forget(self) -> None:
        self.forgotten += 1


@dataclass
class Told:
    """What a restart told meanwhile."""

    events: list[Event] = field(default_factory=list)

    def phases(self) -> list[str]:
        return [event.data["phase"] for event in self.events if event.kind is Kind.PROGRESS]


WHY = "nouveau is loaded"


def waiting(box: FakeTransport) -> Surveyed:
    """A box that was looked at and waits for its restart."""
    wish = {"scope": "system", "role": "smoke_test", "why": WHY, "boot": "a:1", "restarted": False}
    answer = facts(hostname="box", pending=["smoke_test"], awaiting=[wish]).to_json()
    return Surveyed(judge("box", answer, Settings()), box)


def attempt(look: Look, patience: float = 600.0) -> tuple[Restarting, FakeClock, Told]:
    clock = FakeClock()
    box, told = Restarting(clock, look), Told()
    restart(waiting(box), told.events.append, patience=patience, clock=clock)
    return box, clock, told


def raising(seconds: float, error: ProvisionError, then: dict[str, Any]) -> Look:
    def look(now: float) -> dict[str, Any]:
        if now < seconds:
            raise error
        return then

    return look


def test_it_waits_until_the_machine_answers_from_another_start() -> None:
    box, clock, told = attempt(raising(40, GONE, up("b:1")))
    assert box.asked == ["look", "restart", *["look"] * 20]
    assert clock.seconds == 40
    assert box.forgotten == 20, "no connection of before is used"
    assert told.events[0].message == "restarts: nouveau is loaded"
    assert told.phases()[-1] == "restarting … 38 s"


def test_a_machine_that_is_slow_on_its_way_down_is_waited_for() -> None:
    def look(now: float) -> dict[str, Any]:
        if now < 100:
            return up("a:1")
        if now < 130:
            raise ConnectionLost("box: reset", hint="again")
        return up("b:1")

    _, clock, _ = attempt(look)
    assert clock.seconds == 130


def test_services_may_start_but_not_for_ever() -> None:
    _, clock, _ = attempt(lambda now: up("b:1", starting=now < 30))
    assert clock.seconds == 30
    _, clock, _ = attempt(lambda _: up("b:1", starting=True))
    assert clock.seconds == 2 + 120


def test_a_machine_that_never_ends_starting_has_restarted_all_the_same() -> None:
    _, clock, _ = attempt(lambda _: up("b:1", starting=True), patience=10)
    assert clock.seconds == 10


@pytest.mark.parametrize(
    ("look", "kind", "message", "hint"),
    [
        (
            raising(10**6, GONE, up("b:1")), ProvisionError,
            "box: it did not come back within 10 min of its restart: no route",
            "look at its console and its power; once it answers, run the same again",
        ),
        (
            lambda _: up("a:1"), ProvisionError,
            "box: it has not restarted within 10 min: it answers, and from the same start",
            "see `systemctl list-jobs` there, restart it by hand, then run the same again",
        ),
        (
            lambda _: up("a:1", said="Call failed\nAccess denied"), Refused,
            "box: it does not restart: Access denied", "restart it by hand, then run the same again",
        ),
        (
            raising(10**6, HostKeyChanged("box: another key", hint="ask"), up("b:1")), HostKeyChanged,
            "box: another key", "ask",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_named(look: Look, kind: type[ProvisionError], message: str, hint: str) -> None:
    with pytest.raises(kind) as caught:
        attempt(look)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_patience_is_the_users() -> None:
    with pytest.raises(ProvisionError, match="within 30 s of its restart"):
        attempt(raising(60, GONE, up("b:1")), patience=30)


def test_a_machine_whose_starts_look_alike_is_not_restarted() -> None:
    clock = FakeClock()
    box = Restarting(clock, lambda _: up(""))
    box.asked = ["", ""]
    with pytest.raises(ProvisionError, match="does not tell one start of it from the next"):
        restart(waiting(box), lambda _: None, patience=600, clock=clock)
    assert box.asked == ["", "", "look"]


def test_who_may_be_restarted_by_the_run() -> None:
    host = waiting(FakeTransport("box", []))
    assert host.result.restart == WHY
    assert [one.result.status for one in held_up([host], Restarts())] == [Status.DRIFTED]
    (refused,) = held_up([host], Restarts(elsewhere=False))
    assert (refused.result.status, refused.result.exit_code) == (Status.REBOOT, 6)
    here = FakeTransport("box", [])
    here.target = this_machine("box")
    assert [one.result.status for one in held_up([waiting(here)], Restarts())] == [Status.REBOOT]
    assert host.result.facts is not None
    windows = replace(host.result.facts, os=replace(host.result.facts.os, wsl=True))
    assert not Restarts().may(replace(host, result=replace(host.result, facts=windows)))


def test_a_host_that_waits_for_nothing_is_left_as_it_is() -> None:
    host = Surveyed(judge("box", facts(hostname="box").to_json(), Settings()), FakeTransport("box", []))
    assert held_up([host], Restarts(elsewhere=False)) == [host]
