"""Whole Facts of recorded machines: /proc and /sys of seven virtual machines with real firmware."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from provisioner.facts import Facts
from provisioner.target import probe

HOSTS = Path(__file__).parents[3] / "data" / "recorded-hosts"
NAMES = sorted(path.name.removesuffix(".tar.gz") for path in HOSTS.glob("*.tar.gz"))


@pytest.fixture
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The tree of a recorded machine, unpacked."""
    with tarfile.open(HOSTS / f"{request.param}.tar.gz") as archive:
        # Debian 12's Python 3.11.2 has no filters yet; later ones warn when none is named.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    return tmp_path


def test_there_are_recorded_machines() -> None:
    assert len(NAMES) == 7


@pytest.mark.parametrize(("recorded", "name"), [(name, name) for name in NAMES], indirect=["recorded"])
def test_facts_of_a_recorded_machine(recorded: Path, name: str) -> None:
    found = probe.main({"root": str(recorded), "receipts": None})
    assert found == json.loads((HOSTS / f"{name}.facts.json").read_text())
    assert Facts.decode(found).to_json() == found
