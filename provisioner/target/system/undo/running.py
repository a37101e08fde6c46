"""Jobs and shares that still work for a role: what they make would come back after it is taken off."""

from __future__ import annotations

import os
import signal
import time
from typing import Callable, List, Sequence

from ...errors import TargetError
from ...locks import is_held
from ...runtime.files import read_json
from ...runtime.share import SHARES, daemon

# Which jobs are whose, by how their names begin. Packages that are being installed are waited for by the
# manager's own lock: to end that in the middle would leave them half-way.
JOBS = {
    "host_base": ("tools",),
    "python_env": ("env-",),
    "model_weights": ("weights-",),
    "smoke_test": ("smoke",),
}
_ENDED = tuple(head for heads in JOBS.values() for head in heads)
OWN = "undo"
GRACE_S, POLL_S = 10.0, 0.1


def wait(state: str, told: Callable[[str], None]) -> None:
    """Wait for jobs that must not be ended, as those that are installing packages."""
    while True:
        others = [folder for folder in _held(state) if not os.path.basename(folder).startswith(_ENDED)]
        if not others:
            return
        told(os.path.basename(others[0]))
        _wait(others[0])


def at_work(state: str, roles: Sequence[str]) -> List[str]:
    """Folders of the jobs of these roles that a process is at work on."""
    heads = tuple(head for role in roles for head in JOBS.get(role, ()))
    return [folder for folder in _held(state) if heads and os.path.basename(folder).startswith(heads)]


def _held(state: str) -> List[str]:
    folder = os.path.join(state, "jobs")
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        os.path.join(folder, name)
        for name in names
        if name != OWN and is_held(os.path.join(folder, name, "lock"))
    ]


def end(state: str, roles: Sequence[str]) -> None:
    """End them, with what they have started. Raises TargetError for one that does not end."""
    for folder in at_work(state, roles):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not is_held(os.path.join(folder, "lock")):
                break
            pid = (read_json(os.path.join(folder, "lock")) or {}).get("pid")
            if isinstance(pid, int) and pid > 1:
                _signal(pid, number)
            _wait(folder)
        if is_held(os.path.join(folder, "lock")):
            raise TargetError("the job %s does not end" % os.path.basename(folder), "end it by hand")
    if "model_weights" in roles:
        _end_shares(os.path.join(state, SHARES))


def _end_shares(folder: str) -> None:
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        daemon.end(os.path.join(folder, name))


def _signal(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return  # it has ended meanwhile


def _wait(folder: str) -> None:
    until = time.monotonic() + GRACE_S
    while is_held(os.path.join(folder, "lock")) and time.monotonic() < until:
        time.sleep(POLL_S)
