"""`provision plan` against a machine over SSH, a recorded one, and one that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import Provision
from tests.lab.fixtures import MachineFactory
from tests.recorded import NAMES, unpack


def test_a_machine_is_planned_for_over_ssh_and_stays_as_it_is(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    machine = machine_factory(release="bookworm")
    listing = ("sh", "-c", "find /opt /var/lib /etc /root -newer /proc/1 -type f | sort")
    before = machine.run(*listing).stdout
    said = provision("plan", *provision.reach(machine), "--json").expect(0)
    host = said.host(machine.alias())
    plan = host["plan"]
    assert (host["status"], plan["box"]["known_as"], plan["box"]["gpus"]) == ("possible", "debian12", [])
    assert plan["model"]["profile"] == "gemma3-270m"
    assert plan["memory"]["chosen"]["way"]["device"] == "cpu"
    assert [route["action"] for route in plan["routes"] if route["what"] == "driver"] == ["none"]
    told = provision("plan", *provision.reach(machine), "--profile", "autoglm-phone-9b").expect(4)
    assert "impossible: no NVIDIA GPU found → " in told.out
    assert machine.run(*listing).stdout == before


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_is_planned_for(name: str, provision: Provision, tmp_path: Path) -> None:
    said = provision("plan", "Qwen3-8B", "--root", str(unpack(name, tmp_path)), "--json")
    (host,) = said.document["hosts"]
    assert host["status"] in ("possible", "impossible")
    said.expect(0 if host["status"] == "possible" else 4)
    plan = host["plan"]
    assert plan["box"]["memory_bytes"] > 0
    assert "os.arch" in plan["box"]["unknown"]
    # A machine of a few gigabytes has no room for eight billion parameters, and says how much is lacking.
    if plan["memory"]["chosen"]["fits"] is False:
        assert host["status"] == "impossible"
        assert plan["why_not"]["changes"]
