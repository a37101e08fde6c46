"""Measured rates: fast, slow, and not to be had."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import Rate
from provisioner.preflight.rules.bench import bytes_a_token
from tests.unit.preflight.cases import Row, broken, case, check, hidden, read


def rate(per_second: float) -> Any:
    return read(Rate(per_second, 1.8, int(per_second), "4 at once"))


def measured(**said: Any) -> dict[str, Any]:
    return {"bench": said}


ROWS = [
    Row("not asked for", "bench.disk", {}, ()),
    Row("not asked for", "bench.memory", {}, ()),
    Row(
        "nvme",
        "bench.disk",
        measured(sequential=rate(3.5e9), random=rate(4096 * 12_000)),
        "pass info: The disk of the weights reads 3.5 GB a second: a model of 14 GB is loaded in 4.0 seconds",
    ),
    Row(
        "hard disk",
        "bench.disk",
        measured(sequential=rate(1.6e8)),
        "warn warning likely: The disk of the weights reads 160 MB a second: a model of 14 GB is loaded in "
        "88 seconds: slower than a solid-state disk",
        actor="owner",
    ),
    Row(
        "no direct reads",
        "bench.disk",
        measured(sequential=hidden("no way around its cache")),
        "unknown: How fast the disk of the weights is read: no way around its cache",
    ),
    Row(
        "a read failed",
        "bench.disk",
        measured(sequential=broken("a read failed")),
        "error: How fast the disk of the weights is read: a read failed",
    ),
    Row(
        "a clock that stands still",
        "bench.disk",
        measured(sequential=rate(0)),
        "error: How fast the disk of the weights is read: what was measured is no rate",
    ),
    Row(
        "two channels of DDR5",
        "bench.memory",
        measured(memory=rate(7.0e10), memory_one_thread=rate(2.1e10)),
        "pass info: Memory is read at 70 GB a second, as 3 channels of DDR4-3200: a model of 8 billion "
        "parameters in 4 bits generates at most about 10 tokens a second on the processor",
    ),
    Row(
        "too little memory",
        "bench.memory",
        measured(memory=hidden("too little memory is free to measure it")),
        "unknown: How fast memory is read: too little memory is free to measure it",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.rule} {row.name}")
def test_rates(row: Row) -> None:
    check(row)


def test_a_token_costs_what_the_planner_counts() -> None:
    """Weights of 8 billion parameters in 4 bits are five gigabytes, of which no run reaches all bandwidth."""
    assert 5e9 < bytes_a_token() < 10e9


def test_the_case_is_a_case() -> None:
    assert case(**measured(memory=rate(1e9))).audit.bench is not None
