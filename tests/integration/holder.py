"""Somebody who installs packages on a lab machine: apt's lock is held until it is let go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab import Machine

UNIT = "someone-installs"
_HOLD = """
import fcntl, sys, time
with open("/var/lib/dpkg/lock-frontend", "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[1]))
"""


def hold_apt(machine: Machine, seconds: float) -> None:
    """Hold apt's lock from now on for `seconds`, or until `let_go`."""
    machine.run("systemd-run", "--collect", f"--unit={UNIT}", "/usr/bin/python3", "-c", _HOLD, str(seconds))
    machine.run(
        "sh", "-c", f"until journalctl --unit={UNIT} --output=cat | grep -qx held; do sleep 0.1; done"
    )


def let_go(machine: Machine) -> None:
    """End whoever holds it, if anybody does."""
    machine.run("systemctl", "stop", UNIT, check=False)


@contextmanager
def apt_held(machine: Machine) -> Iterator[None]:
    """Somebody installs packages as long as the block lasts."""
    hold_apt(machine, 600)
    try:
        yield
    finally:
        let_go(machine)
