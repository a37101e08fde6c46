"""`provision` as a user runs it: a process, its exit code, what it said and its JSON document."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import lab
from tests.lab import Machine

ROOT = Path(__file__).resolve().parents[2]
PROVISION = (sys.executable, "-m", "provisioner")
# Generous: the two cores are shared, and one that hangs must still end.
SECONDS = 900.0


@dataclass(frozen=True)
class Said:
    """How a call ended."""

    argv: Sequence[str]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that a person would have read."""
        return self.out + self.err

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    def host(self, name: str) -> dict[str, Any]:
        """One host of the document."""
        found: dict[str, Any] = next(host for host in self.document["hosts"] if host["name"] == name)
        return found

    def expect(self, code: int) -> Said:
        """Itself, when it ended with this code; else everything it said."""
        assert self.code == code, f"exit {self.code}, not {code}: {' '.join(self.argv)}\n{self.text}"
        assert "Traceback" not in self.text, self.text
        return self


@dataclass(frozen=True)
class Provision:
    """Runs the command with its state under `state`, and with the lab's own network settings.

    `program` is what is started; another one may put something emulated in its way first.
    """

    state: Path
    program: Sequence[str] = PROVISION

    def __call__(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = SECONDS,
    ) -> Said:
        """Run to the end."""
        done = subprocess.run(
            [*self.program, *argv],
            env=self.environment(env),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=ROOT,
        )
        return Said(argv, done.returncode, done.stdout, done.stderr)

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start in a process group of its own, to be interrupted or killed."""
        return subprocess.Popen(
            [*self.program, *argv],
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=ROOT,
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Ours, with the state folder of this test."""
        return {**os.environ, "XDG_STATE_HOME": str(self.state), **(more or {})}

    def up(self, machine: Machine, *more: str, user: str = "root", **options: Any) -> Said:
        """`provision up --host NAME` with a JSON document, through the certificates of this network."""
        return self("up", *self.reach(machine, user), *network(), "--json", *more, **options)

    def verify(self, machine: Machine, *more: str, user: str = "root") -> Said:
        """`provision verify --host NAME --json`."""
        return self("verify", *self.reach(machine, user), "--json", *more)

    def reach(self, machine: Machine, user: str = "root") -> list[str]:
        """The options that lead to a lab machine."""
        return ["--host", machine.alias(user), "--ssh-config", str(machine.ssh_config)]

    def events(self, run: int = -1) -> list[dict[str, Any]]:
        """What the journal of a run recorded."""
        folders = sorted((self.state / "provision" / "runs").iterdir())
        lines = (folders[run] / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def wait_for_event(self, wanted: int, process: subprocess.Popen[str], timeout: float = SECONDS) -> bool:
        """Whether `wanted` events have been recorded before the process ended."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            files = sorted((self.state / "provision" / "runs").glob("*/events.jsonl"))
            if files and len(files[-1].read_text(encoding="utf-8").splitlines()) >= wanted:
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.02)
        raise TimeoutError(f"no {wanted} events within {timeout} s")


def network() -> list[str]:
    """What a user behind this network's certificate authority types."""
    bundle = lab.extra_ca_certificates()
    return ["--ca-certificate", str(bundle)] if bundle else []


def kill_group(process: subprocess.Popen[str], sig: signal.Signals) -> None:
    """Signal a process and everything in its group."""
    os.killpg(process.pid, sig)
