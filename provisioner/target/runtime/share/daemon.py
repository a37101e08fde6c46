"""A process that outlives the connection which started it, and can be found and ended by its folder.

The folder holds `lock` (an flock held by the process; its text names it) and `log.txt`, and goes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
import traceback
from typing import Callable, NoReturn, Sequence

from ...locks import is_held
from ..detached import let_go
from ..files import read_json

POLL_S = 0.05
GRACE_S = 5.0


def start(folder: str, work: Callable[[], None], keep: Sequence[int]) -> None:
    """Runs `work` in a process of its own session, with no descriptors of ours but those to `keep`."""
    os.makedirs(folder, exist_ok=True)
    # Its owner's alone: anybody's shared lock would keep it held.
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _become(folder, lock, work, keep)
        os.pwrite(lock, json.dumps({"pid": pid}).encode(), 0)
    finally:
        # The child's own copy of the descriptor keeps the lock.
        os.close(lock)


def end(folder: str) -> bool:
    """Ends the process of that folder; whether there was one."""
    if not is_held(os.path.join(folder, "lock")):
        shutil.rmtree(folder, ignore_errors=True)
        return False
    deadline = time.monotonic() + GRACE_S
    number = signal.SIGTERM
    while is_held(os.path.join(folder, "lock")):
        holder = read_json(os.path.join(folder, "lock"))
        if holder is not None:
            # It may just have ended, which is what is wanted.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(holder["pid"]), number)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(POLL_S)
    shutil.rmtree(folder, ignore_errors=True)
    return True


def sweep(parent: str) -> None:
    """Removes what processes that were killed left behind."""
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return
    for name in names:
        if not is_held(os.path.join(parent, name, "lock")):
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


def _become(folder: str, lock: int, work: Callable[[], None], keep: Sequence[int]) -> NoReturn:
    """The forked child; never returns."""
    status = 1
    try:
        let_go(os.path.join(folder, "log.txt"), [lock, *keep])
        # A taker that goes away must be an exception in its thread, not the end of all.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        work()
        shutil.rmtree(folder, ignore_errors=True)
        status = 0
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    finally:
        # Whatever happened, a forked child must not unwind into its parent's frames.
        os._exit(status)
