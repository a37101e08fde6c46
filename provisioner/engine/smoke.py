"""A generation now, on a box that is provisioned, whatever its receipt says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from provisioner import argspec
from provisioner.engine.attendance import Attendance, Attended
from provisioner.engine.run import Sink
from provisioner.engine.survey import Surveyed
from provisioner.errors import ProvisionError
from provisioner.hosts.connect import connect
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Access, Privilege
from provisioner.report.result import HostResult, Status

SMOKE_SECONDS = 3600.0


def smoke(hosts: Sequence[Surveyed], access: Access, sink: Sink) -> list[HostResult]:
    """Let the model of each host answer; hosts at the same time, each with its own ending."""
    return at_once(lambda host: _answer(host, access, sink), hosts)


def _answer(host: Surveyed, access: Access, sink: Sink) -> HostResult:
    result = host.result
    if result.plan is None:
        return result
    if result.smoke is None:
        nothing = ProvisionError(f"{result.name}: nothing is provisioned there yet", hint="provision up")
        return result.failed(nothing)
    values = host.plan.roles["smoke_test"]
    target = host.transport.target
    inside = replace(
        target,
        variables={
            **target.variables,
            "ansible_python_interpreter": f"{values['smoke_test_env']}/bin/python",
        },
    )
    privilege: Privilege = "auto" if host.plan.scope == "system" else "none"
    request = {
        "job": "smoke",
        "name": "smoke",
        "spec": argspec.job_spec("smoke_test", values, argspec.SMOKE_WITHOUT),
        "dirs": {"state": host.plan.places.state},
        "wait": True,
        "check": False,
    }
    started = time.monotonic()
    try:
        # A run that is under way must not have its own generation ended by ours.
        with closing(Attendance(Attended.planned(host), "smoke", sink)):
            answer = connect(inside, access).call(
                "runtime.jobs", request, privilege=privilege, timeout=SMOKE_SECONDS
            )
    except ProvisionError as error:
        return result.failed(error)
    seconds = time.monotonic() - started
    return replace(result, status=Status.ANSWERED, smoke=answer["result"], seconds=seconds)
