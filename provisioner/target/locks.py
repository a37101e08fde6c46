"""Locks that processes hold for as long as they live."""

from __future__ import annotations

import fcntl
import os


def is_held(path: str) -> bool:
    """Whether a living process holds the lock file; one that is not there, or not ours to open, is free."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # A shared lock on a free file succeeds, and is gone with the descriptor an instant later.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
