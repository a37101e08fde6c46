"""The lock over connections that break: fake ones, so that they break when the test wants it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any, Self

import pytest

from provisioner.compat import Settings
from provisioner.engine import attendance
from provisioner.engine.attendance import Attendance, Attended
from provisioner.engine.events import Event
from provisioner.engine.survey import Surveyed, judge
from provisioner.hosts.errors import Busy, ConnectionLost
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Standing
from tests.unit.compat.test_plan import facts

HELD = {"lock": "held"}
BUSY = {"lock": "busy", "holder": {"who": "ann@desk", "run": "r7"}}
SECONDS = 10.0


class FakeChannel:
    """Says what is put into it: answers, an error that breaks it, or None for its end."""

    def __init__(self, *said: dict[str, Any] | Exception | None) -> None:
        self.said: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue()
        self.beats: queue.Queue[None] = queue.Queue()
        self.closed = False
        for item in said:
            self.said.put(item)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (item := self.said.get(timeout=SECONDS)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def beat(self) -> None:
        self.beats.put(None)

    def close(self) -> None:
        self.closed = True
        self.said.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeTransport:
    """Lends channels in turn."""

    def __init__(self, *channels: FakeChannel) -> None:
        self.target = Target("box", address="box")
        self.standing: Standing | None = None
        self.channels = list(channels)
        self.asked: list[dict[str, Any]] = []

    def forget(self) -> None:
        """Nothing was kept."""

    def call(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise AssertionError("nobody calls")

    def stream(self, entry: str, request: dict[str, Any], **_: Any) -> FakeChannel:
        assert entry == "probe.attend"
        self.asked.append(request)
        return self.channels.pop(0)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(attendance, "BEAT_SECONDS", 0.0)


def attend(transport: FakeTransport) -> tuple[Attendance, queue.Queue[Event]]:
    told: queue.Queue[Event] = queue.Queue()
    box = Surveyed(judge("box", facts(hostname="box").to_json(), Settings()), transport)
    return Attendance(Attended.planned(box), "r1", told.put), told


def progress(phase: str) -> dict[str, Any]:
    return {"progress": {"job": "env", "phase": phase}}


def test_a_broken_connection_is_made_again_and_the_lock_with_it() -> None:
    lost = ConnectionLost("box: the connection broke off")
    first, unreachable, second = FakeChannel(HELD, progress("a"), lost), FakeChannel(lost), FakeChannel(HELD)
    transport = FakeTransport(first, unreachable, second)
    attended, told = attend(transport)
    second.said.put(progress("b"))
    said = [told.get(timeout=SECONDS).data["phase"] for _ in range(3)]
    assert said == ["a", "the connection broke off", "b"]
    assert first.closed
    assert len(transport.asked) == 3
    second.beats.get(timeout=SECONDS)
    attended.close()
    assert second.closed


def test_who_took_the_lock_meanwhile_is_named() -> None:
    transport = FakeTransport(FakeChannel(HELD, None), FakeChannel(BUSY))
    attended, told = attend(transport)
    assert told.get(timeout=SECONDS).data["phase"] == "another run is at work there: ann@desk"
    attended.close()
    assert transport.channels == []


def test_a_lock_that_another_holds_is_refused() -> None:
    with pytest.raises(Busy, match="box: another run is at work there: ann@desk"):
        attend(FakeTransport(FakeChannel(BUSY)))
