"""What can happen to a run, and the moments at which it can: read from the events of one that went well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cli import SECONDS, Provision, Said, network
from tests.lab import Machine

CODE, STATE, CACHE = "/opt/provisioner", "/var/lib/provisioner", "/var/cache/provisioner"
# What host_base installs on a box that already has Python.
PACKAGES = ("ca-certificates", "libgomp1", "openssl")
# A short answer proves as much here, and is asked for a hundred times.
SHORT = ("--set", "smoke_test_tokens=12")
# What Ansible itself names the check of a role's arguments, which asks no box.
ARGUMENTS = "Validating arguments against arg spec"
POLL = 0.01


@dataclass(frozen=True)
class Boundary:
    """The moment at which a task begins: the `turn`-th one of that name in its role, counted from 1."""

    role: str
    task: str
    turn: int

    def __str__(self) -> str:
        again = f" ({self.turn})" if self.turn > 1 else ""
        return f"{self.role or 'play'}: {self.task}{again}"

    def reached(self, events: Sequence[dict[str, Any]]) -> bool:
        """Whether the task has begun in these events."""
        begun = [event for event in events if event["kind"] == "started"]
        return sum((event["role"], event["task"]) == (self.role, self.task) for event in begun) >= self.turn


def boundaries(events: Sequence[dict[str, Any]]) -> list[Boundary]:
    """The beginning of each task that did something, in order.

    A task that was skipped, included others or checked arguments leaves the box as the one before it did:
    a fault at its beginning would be the same fault once more.
    """
    turns: Counter[tuple[str, str]] = Counter()
    found: list[Boundary] = []
    begun: dict[tuple[str, str], Boundary] = {}
    for event in events:
        key = event["role"], event["task"]
        if event["task"].startswith(ARGUMENTS):
            continue
        if event["kind"] == "started":
            turns[key] += 1
            begun[key] = Boundary(*key, turns[key])
        elif event["kind"] in ("ok", "changed") and key in begun:
            found.append(begun.pop(key))
    return found


def kill(process: subprocess.Popen[str], machine: Machine) -> None:
    """SIGKILL of the controller: of that one process, as the kernel's out-of-memory killer does it."""
    del machine
    process.send_signal(signal.SIGKILL)


def cut(process: subprocess.Popen[str], machine: Machine) -> None:
    """Every SSH connection breaks."""
    del process
    machine.cut_ssh()


def restart(process: subprocess.Popen[str], machine: Machine) -> None:
    """The target loses its power, and comes back."""
    del process
    machine.restart(hard=True)


FAULTS: dict[str, Callable[[subprocess.Popen[str], Machine], None]] = {
    "kill": kill,
    "cut": cut,
    "restart": restart,
}


def up_arguments(provision: Provision, machine: Machine, *more: str) -> list[str]:
    """The same `provision up` each time, the network's certificates and a short answer included."""
    return ["up", *provision.reach(machine), *network(), *SHORT, *more]


def recorded(provision: Provision) -> list[dict[str, Any]]:
    """The events so far of the newest run; a line that is being written does not count yet."""
    files = sorted((provision.state / "provision" / "runs").glob("*/events.jsonl"))
    text = files[-1].read_text(encoding="utf-8") if files else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def wait_until(
    process: subprocess.Popen[str], reached: Callable[[], bool], what: str, seconds: float = SECONDS
) -> None:
    """Wait for something that a running `provision` brings about; fail when it ends before."""
    deadline = time.monotonic() + seconds
    while not reached():
        if process.poll() is not None:
            raise AssertionError(f"it ended before {what}:\n{process.communicate()[0]}")
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"not within {seconds:g} s: {what}\n{process.communicate()[0]}")
        time.sleep(POLL)


def wait_for(process: subprocess.Popen[str], provision: Provision, boundary: Boundary) -> None:
    """Wait until a task begins."""
    wait_until(process, lambda: boundary.reached(recorded(provision)), str(boundary))


def end_of(process: subprocess.Popen[str], seconds: float = 240.0) -> Said:
    """How a started call ends by itself."""
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"no end within {seconds:g} s:\n{process.communicate()[0]}") from None
    return Said(tuple(map(str, process.args)), process.returncode, out, "")  # type: ignore[arg-type]


def forget(machine: Machine, role: str) -> None:
    """Make a box forget a role and those that stand on it; what was downloaded stays in its cache.

    Not asked of the product: a box in pieces is what these tests are about.
    """
    if role == "smoke_test":
        machine.run("sh", "-ec", f"rm -rf {STATE}/receipts/smoke_test* {STATE}/jobs/smoke")
        return
    if role in ("python_env", "model_weights"):
        machine.run(
            "sh", "-ec", f"rm -rf {CODE}/envs/* {STATE}/models/* {STATE}/models/.[!.]* {STATE}/jobs/*"
        )
        machine.run("find", f"{STATE}/receipts", "-type", "f", "!", "-name", "host_base.json", "-delete")
        return
    # Removed as by apt, but without its plugins: certificates and the OpenMP library are asked for again.
    machine.run("dpkg", "--purge", "--force-depends", *PACKAGES)
    machine.run(
        "sh", "-ec", f"rm -rf {CODE}/tools {CODE}/network.json {STATE}/receipts/host_base* {STATE}/jobs/*"
    )


def interrupted_dpkg(machine: Machine) -> None:
    """Leave dpkg as a power failure leaves it in the middle of a package: apt then refuses to begin."""
    script = """
    made=$(mktemp -d); mkdir "$made/DEBIAN"; chmod 755 "$made"; rm -f /run/interrupted
    printf 'Package: interrupted\\nVersion: 1\\nArchitecture: all\\n' > "$made/DEBIAN/control"
    printf 'Maintainer: a <a@example.org>\\nDescription: a\\n' >> "$made/DEBIAN/control"
    printf '#!/bin/sh\\n[ -e /run/interrupted ] || { touch /run/interrupted; kill -KILL $PPID; }\\n' \\
      > "$made/DEBIAN/postinst"
    chmod 755 "$made/DEBIAN/postinst"
    dpkg-deb --build "$made" /tmp/interrupted.deb >&2
    dpkg --install /tmp/interrupted.deb >&2 || ls /var/lib/dpkg/updates
    """
    assert machine.run("sh", "-c", script).stdout.split(), "dpkg came to an end"


def job_pid(machine: Machine, name: str) -> int | None:
    """The process of a job that runs on the box, as the box counts."""
    lock = machine.run("cat", f"{STATE}/jobs/{name}/lock", check=False).stdout
    return int(json.loads(lock)["pid"]) if lock.strip() else None


def job_phase(machine: Machine, name: str) -> str:
    """What a job on the box is at."""
    return str(_of_job(machine, name, "progress").get("phase", ""))


def job_bytes(machine: Machine, name: str) -> int:
    """How many bytes a job on the box has."""
    return int(_of_job(machine, name, "progress").get("done_bytes") or 0)


def job_result(machine: Machine, name: str) -> dict[str, Any]:
    """What the last job by that name on the box ended with."""
    return dict(_of_job(machine, name, "result")["value"])


def _of_job(machine: Machine, name: str, file: str) -> dict[str, Any]:
    text = machine.run("cat", f"{STATE}/jobs/{name}/{file}.json", check=False).stdout
    return dict(json.loads(text)) if text.strip() else {}


def playbooks(state: Path) -> Iterator[str]:
    """The command lines of Ansible's processes that belong to this state folder and still run."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if (
            "provisioner.engine.playbook" in command
            and b"XDG_STATE_HOME=" + os.fsencode(state) in environment
        ):
            yield f"{folder.name}: {command}"


def survivors(state: Path, seconds: float = 2.0) -> list[str]:
    """What is left of Ansible after a grace time."""
    deadline = time.monotonic() + seconds
    while (left := list(playbooks(state))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
