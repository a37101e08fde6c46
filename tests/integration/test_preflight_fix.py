"""Fixes on a fresh machine, through the engine: what they change, that once is enough, and who may not."""

from __future__ import annotations

import json
from typing import Any

from provisioner.engine.events import Event, Kind
from provisioner.engine.fixes import Fixed, ToFix, apply_fixes
from provisioner.hosts.connect import connect
from provisioner.hosts.target import parse_host
from provisioner.hosts.transport import Access
from provisioner.preflight.fixes import FixName
from provisioner.target.probe import driver_names
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

RECEIPT = "/var/lib/provisioner/receipts/preflight_fixes.json"
LINK = "/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service"
KEPT = "/etc/apt/apt.conf.d/90provisioner-unattended"


def fix(machine: Machine, *fixes: FixName, user: str = "root") -> tuple[Fixed, list[str]]:
    """How it ended, and the tasks that changed something."""
    access = Access(ssh_config=str(machine.ssh_config))
    events: list[Event] = []
    host = ToFix(connect(parse_host(machine.alias(user)), access), fixes)
    (ended,) = apply_fixes([host], events.append, run="fix", access=access)
    return ended, [event.task for event in events if event.kind is Kind.CHANGED]


def priors(machine: Machine) -> dict[str, Any]:
    """What each thing was before it was first touched, by its id without the role's name."""
    receipt = json.loads(machine.run("cat", RECEIPT).stdout)
    return {one["id"].removeprefix("preflight_fixes."): one["prior"]["state"] for one in receipt["resources"]}


def test_what_is_wrong_is_fixed_once_and_noted(machine_factory: MachineFactory) -> None:
    machine = machine_factory(release="trixie", users=("plain:no-sudo", "admin:sudo-nopasswd"), cache=True)

    refused, _ = fix(machine, "time-sync", user="plain")
    assert refused.error is not None
    assert "plain" in refused.error.message
    assert refused.error.hint is not None
    assert refused.error.hint.startswith("fixes need root: ")
    assert machine.run("test", "-e", RECEIPT, check=False).returncode == 1

    ended, changed = fix(machine, "time-sync", user="admin")
    assert (ended.error, changed) == (None, ["Install the time service", "Write the receipt"])
    machine.run("systemctl", "is-enabled", "systemd-timesyncd")
    noted = {"package.systemd-timesyncd": "absent", "enabled.systemd-timesyncd.service": "absent"}
    assert priors(machine) == noted

    # The kernel is the host's, whose headers no archive has: that one fails alone, and the other is kept.
    ended, changed = fix(machine, "unattended-upgrades", "kernel-headers")
    assert ended.error is not None
    assert "apt knows no linux-headers-" in ended.error.message
    assert changed == ["Keep the driver's packages as they are", "Write the receipt"]
    assert priors(machine) == {**noted, "unattended": "absent"}
    listed = machine.run("apt-config", "dump", "Unattended-Upgrade::Package-Blacklist").stdout
    assert [one for one in driver_names.patterns() if f'"{one}"' not in listed] == []

    assert fix(machine, "time-sync", "unattended-upgrades") == (
        Fixed(machine.name, ("time-sync", "unattended-upgrades")),
        [],
    )

    machine.run("rm", LINK, KEPT)
    ended, changed = fix(machine, "time-sync")
    assert (ended.error, changed) == (
        None,
        ["Start the time service with the system", "Keep the driver's packages as they are"],
    )
    assert priors(machine) == {**noted, "unattended": "absent"}
