"""Whatever interrupts a run, at whatever moment: running the same again finishes it, without a hand.

The moments are the beginnings of the tasks that a run which went well recorded. Every second one
gets one of the faults in turn; with PROVISION_FAULTS=all each gets each (six times as long).
"""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import faults
from tests.integration.cli import Provision
from tests.integration.faults import Boundary
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

pytestmark = pytest.mark.timeout(3600)
ROLES = ["host_base", "python_env", "model_weights", "smoke_test"]


@dataclass(frozen=True)
class Recorded:
    """A machine, and the moments of a run on it that went well."""

    machine: Machine
    boundaries: list[Boundary]

    def moment(self, role: str, task: str) -> Boundary:
        """One of them by name."""
        return next(item for item in self.boundaries if (item.role, item.task) == (role, task))


@pytest.fixture(scope="module")
def box(module_machine_factory: MachineFactory, module_provision: Provision) -> Recorded:
    """A Debian 13 machine, and what `provision up` did there from the first boot on."""
    machine = module_machine_factory(release="trixie", cache=True)
    module_provision(*faults.up_arguments(module_provision, machine, "--json")).expect(0)
    return Recorded(machine, faults.boundaries(faults.recorded(module_provision)))


def finish(provision: Provision, machine: Machine) -> str:
    """Run the same again: how that ended; it must have been well."""
    again = provision(*faults.up_arguments(provision, machine, "--json")).expect(0).host(machine.name)
    seen = provision.verify(machine).expect(0).host(machine.name)["drift"]
    assert seen == [{"role": role, "status": "clean", "does": None, "items": []} for role in ROLES]
    return str(again["status"])


def begin(provision: Provision, box: Recorded, moment: Boundary) -> subprocess.Popen[str]:
    """A run that has come to this moment."""
    process = provision.start(*faults.up_arguments(provision, box.machine))
    faults.wait_for(process, provision, moment)
    return process


def test_a_run_has_boundaries_in_every_role(box: Recorded) -> None:
    """Else the test below would pass because it does nothing."""
    assert {boundary.role for boundary in box.boundaries} >= set(ROLES)
    assert len(box.boundaries) > 20


def chosen(index: int, fault: str) -> bool:
    """Whether this boundary gets this fault: every second one gets one of them, for the sake of time."""
    turn, skipped = divmod(index, 2)
    return os.environ.get("PROVISION_FAULTS") == "all" or (
        not skipped and list(faults.FAULTS)[turn % len(faults.FAULTS)] == fault
    )


@pytest.mark.parametrize("fault", faults.FAULTS)
def test_at_every_task_boundary(box: Recorded, tmp_path: Path, fault: str) -> None:
    failed: list[str] = []
    for index, boundary in enumerate(box.boundaries):
        if chosen(index, fault):
            try:
                interrupt(Provision(tmp_path / str(index)), box.machine, boundary, fault)
            except AssertionError as error:
                failed.append(f"{fault} at {boundary}:\n{error}")
    assert not failed, "\n\n".join(failed)


def interrupt(provision: Provision, machine: Machine, boundary: Boundary, fault: str) -> None:
    """One fault at one moment, and what must become of it."""
    faults.forget(machine, boundary.role)
    process = provision.start(*faults.up_arguments(provision, machine))
    faults.wait_for(process, provision, boundary)
    faults.FAULTS[fault](process, machine)
    said = faults.end_of(process)
    if fault == "kill":
        assert said.code == -signal.SIGKILL
        assert faults.survivors(provision.state) == [], "Ansible outlived its controller"
    else:
        # Between two tasks a lost connection is only made again.
        assert said.code in (0, 1), said.text
        assert "Traceback" not in said.text, said.text
    assert finish(provision, machine) in ("done", "nothing to do")


@pytest.mark.parametrize(
    ("role", "task"),
    [("host_base", "Build the tools that fetching needs"), ("smoke_test", "Let the model answer")],
)
def test_an_interrupt_is_one_clear_message(box: Recorded, provision: Provision, role: str, task: str) -> None:
    faults.forget(box.machine, role)
    process = begin(provision, box, Boundary(role, task, 1))
    process.send_signal(signal.SIGINT)
    said = faults.end_of(process, 15)
    assert said.code == 130, said.text
    *_, message, hint = said.text.splitlines()
    assert (message, hint[:8]) == ("provision: interrupted", "  next: ")
    assert "Traceback" not in said.text
    assert faults.survivors(provision.state) == []
    assert finish(provision, box.machine) in ("done", "nothing to do")


def test_a_second_run_at_the_same_time_is_told_who_is_at_work(
    box: Recorded, provision: Provision, tmp_path: Path
) -> None:
    faults.forget(box.machine, "host_base")
    first = begin(provision, box, box.moment("host_base", "Build the tools that fetching needs"))
    second = Provision(tmp_path / "second")
    said = second(*faults.up_arguments(second, box.machine, "--json")).expect(1).host(box.machine.name)
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    assert said["error"] == f"{box.machine.name}: another run is at work there: {who}"
    # The connection that holds the lock breaks: the run goes on over a new one, and so does its lock.
    box.machine.cut_ssh()
    ended = faults.end_of(first)
    assert ended.code in (0, 1), ended.text
    assert finish(provision, box.machine) in ("done", "nothing to do")


def test_a_controller_that_falls_silent_loses_the_lock(box: Recorded, provision: Provision) -> None:
    """Its network stops, or its power: no connection is closed, and the box must find out by itself."""
    faults.forget(box.machine, "host_base")
    first = begin(provision, box, box.moment("host_base", "Build the tools that fetching needs"))
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and box.machine.run("cat", f"{faults.STATE}/run.lock").stdout:
            time.sleep(1)
        assert finish(provision, box.machine) in ("done", "nothing to do")
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        faults.end_of(first)


def test_a_box_whose_dpkg_was_interrupted_is_finished(box: Recorded, provision: Provision) -> None:
    faults.forget(box.machine, "host_base")
    faults.interrupted_dpkg(box.machine)
    assert finish(provision, box.machine) == "done"
    assert box.machine.run("dpkg", "--audit").stdout == ""


def test_weights_whose_download_is_killed_again_and_again(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    """On a machine without any cache, so that a download is really in the middle."""
    machine = machine_factory(release="trixie")
    name = "weights-gemma-3-270m-q4_k_m"
    held = [0.0]

    def ready() -> bool:
        """More than at the last kill, which would else hit before anything has come."""
        come = faults.job_bytes(machine, name)
        if come < held[-1] + 40e6:
            return False
        held.append(come)
        return True

    slowly = ("--set", "model_weights_bandwidth=30MB")
    kill_job(provision, machine, name, "downloading", slowly, ready=ready)
    assert finish(provision, machine) == "done"
    result = faults.job_result(machine, name)
    assert result["fetched_bytes"] <= 238_175_024 - 0.9 * held[-1], "what had come was fetched again"


def test_an_environment_whose_making_is_killed_again_and_again(box: Recorded, provision: Provision) -> None:
    faults.forget(box.machine, "python_env")
    kill_job(provision, box.machine, "env-llama", "installing")
    assert finish(provision, box.machine) == "done"


def kill_job(
    provision: Provision,
    machine: Machine,
    name: str,
    phase: str,
    more: Sequence[str] = (),
    ready: Callable[[], bool] = lambda: True,
) -> None:
    """SIGKILL of a job on the box whenever it is at this phase, until the run gives up and says why.

    A job that dies once is begun again by the run itself; twice, and something on the box does it.
    """
    killed: list[int] = []
    process = provision.start(*faults.up_arguments(provision, machine, *more))
    while process.poll() is None:
        pid = faults.job_pid(machine, name)
        if pid and pid not in killed and faults.job_phase(machine, name).startswith(phase) and ready():
            machine.run("kill", "-KILL", str(pid), check=False)
            killed.append(pid)
        else:
            time.sleep(0.05)
    said = faults.end_of(process).expect(1)
    assert "was killed twice" in said.text
    assert len(killed) >= 2
