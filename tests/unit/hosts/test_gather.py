"""Many at once: order, errors, and that they do not wait for one another."""

from __future__ import annotations

import threading

import pytest

from provisioner.hosts.errors import Unreachable
from provisioner.hosts.gather import WORKERS, at_once, beside


def test_all_are_at_work_at_the_same_time_and_answer_in_their_order() -> None:
    meeting = threading.Barrier(WORKERS, timeout=10)

    def work(number: int) -> tuple[int, bool]:
        meeting.wait()
        return number, threading.current_thread().daemon

    assert at_once(work, range(WORKERS)) == [(number, True) for number in range(WORKERS)]


def test_there_may_be_more_than_work_at_once() -> None:
    assert at_once(str, range(100)) == [str(number) for number in range(100)]


@pytest.mark.parametrize("items", [["bad"], ["good", "bad", "good"]])
def test_an_error_is_raised_here(items: list[str]) -> None:
    def work(item: str) -> str:
        if item == "bad":
            raise LookupError(item)
        return item

    with pytest.raises(LookupError, match="bad"):
        at_once(work, items)


def test_nothing_is_nothing() -> None:
    assert at_once(str, []) == []


def test_what_runs_beside_gives_its_answer_or_its_error_where_it_is_asked_for() -> None:
    gate = threading.Event()
    answer = beside(lambda: gate.wait(60))
    gate.set()
    assert answer() is True

    def fails() -> int:
        raise Unreachable("box: gone")

    with pytest.raises(Unreachable, match="gone"):
        beside(fails)()
