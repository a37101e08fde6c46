from __future__ import annotations

import random

import pytest

from provisioner.target.runtime.transfer.pace import Bucket, backoff, retry_after

from .conftest import QUICK, SIZE, Bench


class Clock:
    """Time that passes when somebody waits."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("rate", [1000, 1_000_000, 10**9])
def test_all_that_is_taken_together_keeps_the_rate(rate: int) -> None:
    clock = Clock()
    bucket = Bucket(rate, clock)
    taken = 0
    for count in (bucket.step(1 << 20) for _ in range(200)):
        taken += count
        clock.now += bucket.take(count)
    assert taken / rate - 0.2 <= clock.now <= taken / rate


def test_time_without_use_is_not_saved_up() -> None:
    clock = Clock()
    bucket = Bucket(8000, clock)
    clock.now = 1000.0
    assert bucket.take(1000) == 0.0
    assert bucket.take(8000) == pytest.approx(1.0)


def test_no_limit_never_waits() -> None:
    bucket = Bucket(0)
    assert bucket.take(10**12) == 0.0
    assert bucket.step(1 << 20) == 1 << 20


def test_a_low_limit_is_even() -> None:
    assert Bucket(1_000_000).step(1 << 20) == 50_000
    assert Bucket(100).step(1 << 20) == 1024


def test_a_fetch_asks_the_bucket_for_all_its_bytes(
    bench: Bench, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still, so each wait is for all that came before it."""
    real = Bucket.__init__
    monkeypatch.setattr(Bucket, "__init__", lambda self, rate: real(self, rate, lambda: 0.0))
    bench.fetch(options=QUICK._replace(limit=100_000))
    assert bench.whole()
    assert max(pauses) == pytest.approx(SIZE / 100_000 - 1 / 8)


def test_waits_grow_and_end_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    assert [backoff(tries) for tries in (1, 2, 3, 5, 6, 1000)] == [0.5, 1.0, 2.0, 8.0, 15.0, 15.0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("99999", 600.0), (None, None), ("", None), ("soon", None), ("-1", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0), ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
    ],
)  # fmt: skip
def test_what_a_server_asks_to_wait(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, lambda: 40.0) == seconds
