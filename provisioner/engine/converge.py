"""Run what differs, watch it, look again: a host is done when a second look finds no drift."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from provisioner.compat import Settings
from provisioner.engine.attendance import Attendance, Attended, attend_all
from provisioner.engine.reboot import BY_THE_RUN, CLOCK, MOST, Clock, Restarts, restart
from provisioner.engine.run import HostJob, HostOutcome, Sink, run_roles
from provisioner.engine.share import PEER_VARIABLE, Sharing
from provisioner.engine.survey import Surveyed, survey
from provisioner.errors import ProvisionError
from provisioner.hosts.gather import at_once, beside
from provisioner.hosts.ssh import ssh_common_args
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access
from provisioner.report.result import HostResult, Status
from provisioner.secrecy import masked

# What playbooks/up.yml leaves out once a role has asked for a restart.
AFTER_RESTART = "smoke_test"


def converge(
    hosts: Sequence[Surveyed],
    settings: Settings,
    sink: Sink,
    *,
    run: str,
    access: Access,
    share: bool = True,
    restarts: Restarts = BY_THE_RUN,
    clock: Clock = CLOCK,
) -> list[HostResult]:
    """Bring every drifted host to its plan; the others are left alone and not in the answer.

    `share`: hosts that want the same weights may take them from each other. `restarts`: who may be restarted;
    a host that may not, and needs it, ends so.
    """
    turns = _Turns(hosts, settings, sink, run, access, share)
    todo = {host.result.name: host for host in hosts if host.result.status is Status.DRIFTED}
    names = list(todo)
    times = dict.fromkeys(names, 0)
    while todo:
        # Nothing is done twice on a machine that waits: what is to be proved there needs the restart.
        waiting = {name: todo.pop(name) for name in list(todo) if todo[name].result.restart is not None}
        going = {name: host for name, host in waiting.items() if restarts.may(host) and times[name] < MOST}
        for name in waiting.keys() - going.keys():
            turns.end(name, _unfinished(waiting[name].result, times[name]))
        for name in going:
            times[name] += 1
        # Whoever needs no restart does not wait for those that do.
        back = beside(partial(turns.restart, going, restarts.patience, clock))
        todo = {**turns.play(todo, leave_alone=going.keys()), **back()}
    return [turns.ended[name] for name in names]


def _unfinished(host: HostResult, restarted: int) -> HostResult:
    """A host that waits for a restart which this run does not make."""
    if restarted < MOST:
        return replace(host, status=Status.REBOOT)
    return replace(
        host,
        status=Status.FAILED,
        error=f"after {restarted} restarts it needs yet another: {host.restart}",
        hint="what it waits for does not come by restarting: see `journalctl -b` there",
    )


class _Turns:
    """One run's way from look to look: what each host was at first, and how it ended."""

    def __init__(
        self,
        hosts: Sequence[Surveyed],
        settings: Settings,
        sink: Sink,
        run: str,
        access: Access,
        share: bool,
    ) -> None:
        self._settings, self._sink, self._run = settings, sink, run
        self._access, self._share = access, share
        self._hosts = {host.result.name: host for host in hosts}
        self._changed = dict.fromkeys(self._hosts, 0)
        # What the play before a restart has left out, by host.
        self._left_out: dict[str, set[str]] = {}
        self._started = time.monotonic()
        self.ended: dict[str, HostResult] = {}

    def end(self, name: str, result: HostResult) -> None:
        """This is how a host ended; its differences and findings stay those of the first look."""
        first = self._hosts[name].result
        self.ended[name] = replace(
            result,
            drift=first.drift,
            preflight=first.preflight,
            changed=self._changed[name],
            seconds=time.monotonic() - self._started,
        )

    def restart(self, hosts: Mapping[str, Surveyed], patience: float, clock: Clock) -> dict[str, Surveyed]:
        """Restart these at once and look at them again; those of them that have something left to do."""
        # Whoever else is at work there must not lose it. Nobody holds a lock over a restart.
        for attendance in self._attended(hosts).values():
            attendance.close()

        def one(name: str) -> ProvisionError | None:
            try:
                restart(hosts[name], self._sink, patience=patience, clock=clock)
            except ProvisionError as error:
                return error
            return None

        names = [name for name in hosts if name not in self.ended]
        for name, error in zip(names, at_once(one, names), strict=True):
            if error is not None:
                self.end(name, hosts[name].result.failed(error))
        back = {name: HostOutcome(name, None) for name in names if name not in self.ended}
        return self._look_again(back, lambda _: True)

    def play(self, todo: Mapping[str, Surveyed], leave_alone: Collection[str]) -> dict[str, Surveyed]:
        """Run the roles of these and look again; those of them that a restart stands before.

        Those to `leave_alone` are on their way down, and share nothing.
        """
        held = self._attended(todo)
        with ExitStack() as locks:
            for attendance in held.values():
                locks.callback(attendance.close)
            outcomes: dict[str, HostOutcome] = {}
            if held:
                givers = [self._hosts[name] for name in self._hosts if name not in leave_alone]
                outcomes = self._run_roles([todo[name] for name in todo if name in held], givers)
            return self._look_again(outcomes, lambda host: host.restart is not None)

    def _attended(self, hosts: Mapping[str, Surveyed]) -> dict[str, Attendance]:
        """The locks of these hosts; who has none has ended."""
        wanted = {name: Attended.planned(host) for name, host in hosts.items()}
        held, refused = attend_all(wanted, self._run, self._sink)
        for name, error in refused.items():
            self.end(name, hosts[name].result.failed(error))
        return held

    def _run_roles(self, hosts: Sequence[Surveyed], givers: Sequence[Surveyed]) -> dict[str, HostOutcome]:
        failed = {name for name, result in self.ended.items() if result.status is Status.FAILED}
        with Sharing(self._run, self._sink) as sharing:
            if self._share:
                sharing.start([host for host in givers if host.result.name not in failed])
            jobs = [
                host_job(host, self._access, self._roles(host), sharing.peers.get(host.result.name))
                for host in hosts
            ]
            outcomes = run_roles(
                jobs, sharing.passing_on, run=self._run, become_password=self._access.become_password
            )
        for job in jobs:
            waits = outcomes[job.name].reboot is not None
            self._left_out[job.name] = {AFTER_RESTART}.intersection(job.roles) if waits else set()
            self._changed[job.name] += outcomes[job.name].changed
        return outcomes

    def _roles(self, host: Surveyed) -> list[str]:
        wanted = {*host.roles_to_run(), *self._left_out.get(host.result.name, ())}
        return [role for role in host.plan.roles if role in wanted]

    def _look_again(
        self, outcomes: Mapping[str, HostOutcome], goes_on: Callable[[HostResult], bool]
    ) -> dict[str, Surveyed]:
        """Look at hosts after something was done there; those that have more to do, and may go on."""
        left = {}
        transports = [self._hosts[name].transport for name in outcomes]
        for host in survey(transports, self._settings) if transports else []:
            name, outcome = host.result.name, outcomes[host.result.name]
            result = replace(host.result, restart=host.result.restart or outcome.reboot)
            if outcome.error is None and result.status is Status.DRIFTED and goes_on(result):
                left[name] = replace(host, result=result)
            else:
                self.end(name, _ending(self._hosts[name].result, result, outcome))
        return left


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
