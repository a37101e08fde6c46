from __future__ import annotations

from typing import Any

from provisioner.target.runtime.progress import Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def recorded() -> tuple[Progress, Clock, list[dict[str, Any]]]:
    clock = Clock()
    written: list[Any] = []
    progress = Progress("p", "weights", clock, lambda path, value: written.append(value))
    return progress, clock, written


def test_a_phase_is_written_at_once() -> None:
    progress, _, written = recorded()
    progress.phase("downloading", 1000, 200)
    assert written == [
        {
            "job": "weights", "phase": "downloading", "done_bytes": 200, "total_bytes": 1000,
            "rate": None, "eta_s": None, "at": 100.0,
        }
    ]  # fmt: skip


def test_bytes_are_written_at_most_twice_a_second() -> None:
    progress, clock, written = recorded()
    progress.phase("downloading", 1000)
    for _ in range(1000):
        clock.now += 0.001
        progress.add(1)
    assert [item["done_bytes"] for item in written] == [0, 500, 1000]


def test_the_rate_is_of_the_last_ten_seconds_and_not_of_what_was_there() -> None:
    progress, clock, written = recorded()
    progress.phase("downloading", 10_000, 5_000)
    for _ in range(20):
        clock.now += 1
        progress.add(10)
    for _ in range(11):
        clock.now += 1
        progress.add(100)
    last = written[-1]
    assert (last["done_bytes"], last["rate"], last["eta_s"]) == (6300, 100.0, 37.0)


def test_more_than_was_announced_moves_the_total() -> None:
    progress, clock, written = recorded()
    progress.phase("downloading", 10)
    clock.now += 1
    progress.at(15)
    assert (written[-1]["done_bytes"], written[-1]["total_bytes"]) == (15, 15)


def test_a_phase_without_bytes_has_none() -> None:
    progress, _, written = recorded()
    progress.phase("getting uv")
    assert (written[-1]["done_bytes"], written[-1]["total_bytes"], written[-1]["rate"]) == (None, None, None)
