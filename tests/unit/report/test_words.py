"""A machine in one line, also one of which little is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.compat.described import described
from provisioner.facts import Gpu
from provisioner.report.words import machine
from tests.unit.report import plans

CARD = Gpu("0000:01:00.0", "0x10de", "0x1234", "NVIDIA Card", 8 * plans.GB)


@pytest.mark.parametrize(
    ("gpus", "text"),
    [
        ((), "no NVIDIA GPU"),
        ((CARD,), "NVIDIA Card 8.0 GB"),
        ((CARD, replace(CARD, address="0000:02:00.0")), "2 × NVIDIA Card 8.0 GB"),
        ((CARD, replace(CARD, name="NVIDIA Other 80GB")), "NVIDIA Card 8.0 GB · NVIDIA Other 80GB"),
        ((replace(CARD, name=None, memory_bytes=None),), "NVIDIA 0x1234"),
    ],
)
def test_its_gpus(gpus: tuple[Gpu, ...], text: str) -> None:
    start = "Ubuntu 24.04 LTS · 8 cores · 16 GB of memory · "
    assert machine(replace(plans.FACTS, gpus=gpus)) == start + text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "a system nobody named"),
        ({"gpu": "none"}, "a system nobody named · no NVIDIA GPU"),
        ({"python": "none"}, "a system nobody named · no Python yet"),
        ({"os": "debian12", "cores": 1, "driver": "580.65.06"},
         "Debian GNU/Linux 12 (bookworm) · 1 core · driver 580.65.06"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_not_said_to_be_missing(said: dict[str, Any], text: str) -> None:
    assert machine(described(**said)) == text


def test_a_machine_s_name_steers_no_terminal() -> None:
    os = replace(plans.FACTS.os, pretty="Evil \x1b[31mOS\x1b]0;x\x07\n")
    assert machine(replace(plans.FACTS, os=os)).startswith("Evil [31mOS ]0;x ")
    assert machine(replace(plans.FACTS, os=os)).isprintable()
