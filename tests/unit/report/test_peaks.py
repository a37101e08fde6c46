"""Predicted and measured memory, recorded together."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.report.peaks import Peaks, peaks
from provisioner.sizing.model import Budget, Load, Part, Way
from tests.unit.report.test_terminal import SMOKE, host


def predicted(ram: int, vram: int = 0) -> Budget:
    """A budget of two parts."""
    parts = (Part("weights", ram, "ram", "", "", "ran"), Part("weights", vram, "vram", "", "", "ran"))
    return Budget("m", Way("transformers", "cuda" if vram else "cpu"), Load(), parts)


Case = tuple[Budget | None, dict[str, Any], tuple[Any, ...], float | None, bool]
CASES: dict[str, Case] = {
    "agrees": (predicted(2000), {"peak_rss_bytes": 2100}, (2000, 2100, None, None), 0.05, False),
    "at the bound": (predicted(1000), {"peak_rss_bytes": 1100}, (1000, 1100, None, None), 0.1, False),
    "more": (predicted(1000), {"peak_rss_bytes": 1101}, (1000, 1101, None, None), 0.101, True),
    "less": (predicted(1000), {"peak_rss_bytes": 800}, (1000, 800, None, None), -0.2, True),
    "VRAM is off": (
        predicted(1000, 1000), {"peak_rss_bytes": 1010, "peak_vram_bytes": 700},
        (1000, 1010, 1000, 700), -0.3, True,
    ),
    "VRAM that nobody counts": (
        predicted(1000, 1000), {"peak_rss_bytes": 1010, "peak_vram_bytes": None},
        (1000, 1010, 1000, None), 0.01, False,
    ),
    "no prediction": (None, {"peak_rss_bytes": 5}, (None, 5, None, None), None, False),
    "a receipt that others wrote": (
        predicted(1000), {"peak_rss_bytes": 5, "peak_vram_bytes": "much"},
        (1000, 5, None, None), -0.995, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "smoke", "record", "deviation", "missed"), CASES.values(), ids=CASES.keys()
)
def test_the_record(
    budget: Budget | None,
    smoke: dict[str, Any],
    record: tuple[Any, ...],
    deviation: float | None,
    missed: bool,
) -> None:
    found = peaks(budget, smoke)
    assert found == Peaks(*record)
    assert found is not None
    assert found.missed is missed
    names = ("predicted_rss_bytes", "measured_rss_bytes", "predicted_vram_bytes", "measured_vram_bytes")
    assert found.to_json() == {**dict(zip(names, record, strict=True)), "deviation": deviation}


@pytest.mark.parametrize("smoke", [None, {}, {"peak_rss_bytes": True}, {"peak_rss_bytes": -1}])
def test_without_a_measurement_there_is_no_record(smoke: dict[str, Any] | None) -> None:
    assert peaks(predicted(1000), smoke) is None


def test_a_host_predicts_its_own_smoke_test_and_no_role_knows() -> None:
    found = host(smoke={**SMOKE, "peak_rss_bytes": 418_000_000}).peaks
    assert found is not None
    assert found.predicted_rss_bytes is not None
    assert 0 < abs(found.deviation or 0) < 0.05
    plan = host().plan
    assert plan is not None
    assert not any(str(found.predicted_rss_bytes) in str(values) for values in plan.roles.values())
