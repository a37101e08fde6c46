"""Some roles of `provision up` on a machine: all but environment and weights, which an emulated one would
take an hour for. Survey, Ansible over SSH, receipts, restarts and the second look are the product's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from provisioner.compat import Plan, Settings, make_plan
from provisioner.compat.roles import ORDER, defaults
from provisioner.engine import survey as looking
from provisioner.engine.converge import converge
from provisioner.engine.events import Event, Kind
from provisioner.engine.journal import new_run_id
from provisioner.engine.reboot import BY_THE_RUN, Restarts, held_up
from provisioner.facts import Facts
from provisioner.hosts.connect import connect
from provisioner.hosts.target import parse_host
from provisioner.hosts.transport import Access
from provisioner.report.result import HostResult, Status
from tests.unit.compat.test_plan import facts as some_facts

from .restarting import Restarting

Wanted = Mapping[str, Mapping[str, Any]]


@dataclass
class Run:
    """How a run ended, and what it told."""

    result: HostResult
    events: list[Event] = field(default_factory=list)

    @property
    def said(self) -> str:
        """What a person read."""
        return "\n".join(event.message for event in self.events if event.message)

    def roles(self) -> list[str]:
        """The roles that ran, each time one did."""
        ran = [event.role for event in self.events if event.kind is Kind.STARTED and event.role]
        return [role for before, role in zip([None, *ran], ran, strict=False) if role != before]

    def expect(self, status: Status) -> Run:
        """Itself, when it ended so; else everything it said."""
        story = [f"{event.kind} {event.role} {event.task} {event.message}" for event in self.events]
        assert self.result.status is status, "\n".join(
            [f"{self.result.status}: {self.result.error} — {self.result.hint}", *story[-40:]]
        )
        return self


def change(machine: Restarting, wanted: Wanted, restarts: Restarts = BY_THE_RUN) -> Run:
    """Have these roles, with these of their variables, on a machine."""
    access = Access(ssh_config=str(machine.machine.ssh_config))
    transport = connect(parse_host(machine.machine.name), access)
    outline = make_plan(some_facts(), Settings())
    assert isinstance(outline, Plan)

    def planned(facts: Facts, _: Settings) -> Plan:
        roles = {role: {**defaults(role), **wanted[role]} for role in ORDER if role in wanted}
        return replace(outline, scope="system", places=facts.places["system"], roles=roles, request={})

    events: list[Event] = []
    with mock.patch.object(looking, "make_plan", planned):
        (host,) = held_up(looking.survey([transport], Settings()), restarts)
        ended = converge(
            [host], Settings(), events.append, run=new_run_id(), access=access, share=False, restarts=restarts
        )
    transport.forget()
    return Run(ended[0] if ended else host.result, events)
