"""Whole Facts of recorded machines: /proc and /sys of seven virtual machines with real firmware."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioner.facts import Facts
from provisioner.target import probe
from tests.recorded import HOSTS, NAMES, unpack


@pytest.fixture
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The tree of a recorded machine, unpacked."""
    return unpack(request.param, tmp_path)


def test_there_are_recorded_machines() -> None:
    assert len(NAMES) == 7


@pytest.mark.parametrize(("recorded", "name"), [(name, name) for name in NAMES], indirect=["recorded"])
def test_facts_of_a_recorded_machine(recorded: Path, name: str) -> None:
    found = probe.main({"root": str(recorded), "receipts": None})
    assert found == json.loads((HOSTS / f"{name}.facts.json").read_text())
    assert Facts.decode(found).to_json() == found
