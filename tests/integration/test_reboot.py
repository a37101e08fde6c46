"""A machine that needs a restart: over SSH it gets it and the run goes on; else it says what continues."""

from __future__ import annotations

import shlex
from typing import Any

from tests.integration.cli import Provision
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

PENDING = "/var/lib/provisioner/receipts/host_base.pending.json"
WHY = "a test asks for it"
# A role that asks for a restart is made of one that is there: its last run waits for the next start.
WAIT = """
import json, os
boot = open("/proc/sys/kernel/random/boot_id").read().strip()
ticks = open("/proc/1/stat").read().rpartition(")")[2].split()[19]
body = {"schema": 1, "role": "host_base", "run": "", "started_at": "", "resources": [],
        "awaits": {"boot": boot + ":" + ticks, "why": %r}}
path = %r
os.makedirs(os.path.dirname(path), exist_ok=True)
open(path, "w").write(json.dumps(body))
"""


def wait(machine: Machine) -> None:
    """Have the machine wait for a restart."""
    machine.run("python3", "-c", WAIT % (WHY, PENDING))


def host(said: Any, machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = said.host(machine.name)
    return found


def test_over_ssh_it_restarts_and_goes_on(converged: Machine, module_provision: Provision) -> None:
    before = converged.boot_stamp()
    wait(converged)
    said = module_provision.up(converged).expect(0)
    assert host(said, converged)["status"] == "done"
    assert converged.boot_stamp() != before
    assert "restarts: a test asks for it" in said.err
    assert "restarting … " in said.err
    assert converged.run("test", "-e", PENDING, check=False).returncode != 0
    assert host(module_provision.up(converged).expect(0), converged)["status"] == "nothing to do"


def test_told_not_to_it_says_what_continues_and_goes_on_after_a_restart_by_hand(
    converged: Machine, module_provision: Provision
) -> None:
    before = converged.boot_stamp()
    wait(converged)
    for _ in range(2):
        found = host(module_provision.up(converged, "--no-reboot").expect(6), converged)
        assert (found["status"], found["restart"], found["changed"]) == ("restart needed", WHY, 0)
        again = shlex.join(["provision", "up", *module_provision.reach(converged)])
        assert found["hint"].startswith(f"restart it, then go on with: {again}")
    assert converged.boot_stamp() == before
    converged.restart()
    found = host(module_provision.up(converged, "--no-reboot").expect(0), converged)
    assert found["status"] == "done"


def test_a_machine_that_does_not_come_back_is_named(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    machine = machine_factory(release="bookworm", cache=True)
    wait(machine)
    # Up again it is there, and lets nobody in.
    drop_in = "/etc/systemd/system/ssh.service.d"
    text = "[Unit]\\nConditionPathExists=/nowhere\\n"
    machine.run("sh", "-c", f"mkdir -p {drop_in}; printf '{text}' > {drop_in}/never.conf")
    said = provision.up(machine, "--reboot-timeout", "20").expect(1)
    found = host(said, machine)
    assert found["status"] == "failed"
    assert "it did not come back within 20 s of its restart" in found["error"]
    assert found["hint"] == "look at its console and its power; once it answers, run the same again"
