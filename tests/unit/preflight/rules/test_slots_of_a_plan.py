"""A GPU without an address stops only a plan that uses it."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import Bar
from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import Row, check, device, hidden

ABOVE, SUBJECT = "pci.above-4g", "pci:0000:01:00.0"
LOST = (Bar(1, 64, prefetchable=True, assigned=False),)
ON_GPU, ON_PROCESSOR = Needs(profile="autoglm", gpu=True), Needs(profile="small", gpu=False)


def bus(**said: Any) -> dict[str, Any]:
    return {"devices": (device(bars=LOST, **said),), "windows": hidden(), "complaints": hidden()}


HOMELESS = "BAR 1 of the RTX 4090 got no address: no driver can use it like this"
ROWS = [
    Row(
        "the card that the plan uses",
        ABOVE,
        {"slots": bus(), "gpus": 1, "needs": ON_GPU},
        f"fail blocking {SUBJECT}: {HOMELESS}",
    ),
    Row(
        "a plan for the processor",
        ABOVE,
        {"slots": bus(), "gpus": 1, "needs": ON_PROCESSOR},
        f"warn high {SUBJECT}: {HOMELESS}",
    ),
    Row(
        "a card of another maker",
        ABOVE,
        {"slots": bus(vendor="0x1002"), "needs": ON_GPU},
        f"warn high {SUBJECT}: BAR 1 of the display at 0000:01:00.0 got no address: "
        "no driver can use it like this",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_plan_is_stopped_by_what_it_uses(row: Row) -> None:
    check(row)
