"""The roles in Ansible's own check mode, with the variables of the plan and without any receipt's opinion."""

from __future__ import annotations

from provisioner.compat import Settings
from provisioner.engine.converge import host_job
from provisioner.engine.events import Event, Kind
from provisioner.engine.run import run_roles
from provisioner.engine.survey import survey
from provisioner.hosts.connect import connect
from provisioner.hosts.target import parse_host
from provisioner.hosts.transport import Access
from tests.lab import Machine


def check_mode(machine: Machine) -> list[str]:
    """The roles in which Ansible would change something, or could not even look."""
    access = Access(ssh_config=str(machine.ssh_config))
    (host,) = survey([connect(parse_host(machine.name), access)], Settings())
    events: list[Event] = []
    # Of the roles in the plan: what a machine does not have to have has no receipt either.
    run_roles([host_job(host, access, list(host.plan.roles))], events.append, run="check", check=True)
    assert events, "Ansible said nothing"
    telling = (Kind.CHANGED, Kind.FAILED, Kind.UNREACHABLE)
    return sorted({event.role for event in events if event.kind in telling})
