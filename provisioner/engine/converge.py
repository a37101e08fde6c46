"""Run what differs, watch it, look again: a host is done when a second look finds no drift."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from provisioner.compat import Settings
from provisioner.engine.attendance import Attended, attend_all
from provisioner.engine.run import HostJob, HostOutcome, Sink, run_roles
from provisioner.engine.share import PEER_VARIABLE, Sharing
from provisioner.engine.survey import Surveyed, survey
from provisioner.hosts.ssh import ssh_common_args
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access
from provisioner.report.result import HostResult, Status
from provisioner.secrecy import masked


def converge(
    hosts: Sequence[Surveyed],
    settings: Settings,
    sink: Sink,
    *,
    run: str,
    access: Access,
    share: bool = True,
) -> list[HostResult]:
    """Bring every drifted host to its plan; the others are left alone and not in the answer.

    `share`: hosts that want the same weights may take them from each other.
    """
    started = time.monotonic()
    todo = {host.result.name: host for host in hosts if host.result.status is Status.DRIFTED}
    ended: dict[str, HostResult] = {}
    held, refused = attend_all({name: Attended.planned(host) for name, host in todo.items()}, run, sink)
    for name, error in refused.items():
        ended[name] = todo.pop(name).result.failed(error)
    with ExitStack() as locks:
        for attendance in held.values():
            locks.callback(attendance.close)
        outcomes: dict[str, HostOutcome] = {}
        if todo:
            with Sharing(run, sink) as sharing:
                if share:
                    sharing.start([host for host in hosts if host.result.name not in refused])
                jobs = [host_job(host, access, peer=sharing.peers.get(name)) for name, host in todo.items()]
                outcomes = run_roles(
                    jobs, sharing.passing_on, run=run, become_password=access.become_password
                )
        seconds = time.monotonic() - started
        again = survey([host.transport for host in todo.values()], settings)
    for host in again:
        name = host.result.name
        before = replace(todo[name].result, seconds=seconds, changed=outcomes[name].changed)
        ended[name] = _ending(before, host.result, outcomes[name])
    return [ended[host.result.name] for host in hosts if host.result.name in ended]


def give_python(
    hosts: Sequence[Surveyed], settings: Settings, sink: Sink, *, run: str, access: Access
) -> list[Surveyed]:
    """The same hosts, with Python on the bare ones, which can now be looked at and planned for real."""
    bare = [host for host in hosts if host.bare]
    jobs = [host_job(host, access, ["host_base"]) for host in bare]
    outcomes = run_roles(jobs, sink, run=run, become_password=access.become_password)
    again = {host.result.name: host for host in survey([host.transport for host in bare], settings)}
    for host in bare:
        name, outcome = host.result.name, outcomes[host.result.name]
        if outcome.error is not None:
            failed = replace(
                host.result,
                status=Status.FAILED,
                error=outcome.error,
                hint=outcome.hint,
                role=outcome.role,
            )
            again[name] = Surveyed(failed, host.transport)
    return [again.get(host.result.name, host) for host in hosts]


def host_job(
    host: Surveyed,
    access: Access,
    roles: Sequence[str] | None = None,
    peer: Mapping[str, Any] | None = None,
) -> HostJob:
    """What Ansible is told about a host: how to reach it, every role variable of its plan, and the `peer`
    from which it may take its weights.
    """
    plan = host.plan
    variables: dict[str, Any] = dict(host.transport.target.variables)
    for values in plan.roles.values():
        variables.update(values)
    standing = host.transport.standing
    facts = host.result.facts
    return HostJob(
        name=host.result.name,
        connection={
            **connection_variables(host.transport.target, access),
            "ansible_python_interpreter": facts.python.executable
            if facts and facts.python
            else "/usr/bin/python3",
        },
        roles=host.roles_to_run() if roles is None else roles,
        variables={
            **variables,
            "provision_become": plan.scope == "system" and standing is not None and standing.sudo != "root",
            "provision_state_dir": plan.places.state,
            "provision_request": plan.request,
            **({PEER_VARIABLE: peer} if peer else {}),
        },
    )


def connection_variables(target: Target, access: Access) -> dict[str, Any]:
    """How Ansible reaches a host: over the very connection that the probe has opened."""
    if target.connection == "local":
        return {"ansible_connection": "local"}
    reached = {"ansible_host": target.address, "ansible_user": target.user, "ansible_port": target.port}
    return {
        "ansible_connection": "ssh",
        "ansible_ssh_common_args": shlex.join(ssh_common_args(target, access)),
        **{name: value for name, value in reached.items() if value is not None},
    }


def _ending(before: HostResult, after: HostResult, outcome: HostOutcome) -> HostResult:
    """The result of a host that was worked on: what differed before, and whether anything still does."""
    if outcome.error is not None:
        return replace(
            before, status=Status.FAILED, error=outcome.error, hint=outcome.hint, role=outcome.role
        )
    if after.status is Status.CONVERGED:
        return replace(before, status=Status.DONE, facts=after.facts, plan=after.plan, smoke=after.smoke)
    if after.error is not None:
        return replace(before, status=Status.FAILED, error=after.error, hint=after.hint)
    if after.why_not is not None:
        return replace(
            before, status=Status.FAILED, error=f"after the run: {after.why_not}", hint=after.why_not.change
        )
    left = [f"{item.id}: {item.what}" for drift in after.drift for item in drift.items]
    return replace(
        before,
        status=Status.FAILED,
        error="still drifted after the run: " + "; ".join(left[:3]),
        hint="run the same again; if it stays, please report it",
    )


def plan_record(host: HostResult) -> dict[str, Any]:
    """What the journal keeps of a host's plan: all but secrets."""
    if host.plan is None:
        return {"why_not": str(host.why_not) if host.why_not else None}
    return {
        "request": masked(host.plan.request),
        "scope": host.plan.scope,
        "roles": masked(host.plan.public_roles()),
    }
