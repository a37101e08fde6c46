"""A run's own folder on this machine: Ansible's inputs, which may hold secrets, gone when the run is."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "provision-run-"
LOCK = "owner.lock"
# Between making a folder and locking it lie microseconds; a younger folder is left to its maker.
YOUNG_SECONDS = 60.0


@contextmanager
def private_dir() -> Iterator[Path]:
    """A folder only we can read, in memory where there is one, gone whatever happens.

    Who is killed removes nothing: the next run does it for them.
    """
    parent = _parent()
    sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path, now: float | None = None) -> list[Path]:
    """Remove, and return, the folders of runs of ours that were killed: the kernel has freed their locks."""
    gone = []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        try:
            if folder.lstat().st_uid != os.getuid() or not _abandoned(folder, now or time.time()):
                continue
        except FileNotFoundError:  # another run sweeps too
            continue
        shutil.rmtree(folder, ignore_errors=True)
        gone.append(folder)
    return gone


def _abandoned(folder: Path, now: float) -> bool:
    with (folder / LOCK).open() as lock:
        if now - os.fstat(lock.fileno()).st_mtime < YOUNG_SECONDS:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _parent() -> Path:
    """In memory where that is to be had: what a power cut leaves there is gone with the power."""
    for candidate in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):  # noqa: S108
        # Ansible is started through a script in the folder, so it must be possible to start one.
        if candidate and os.access(candidate, os.W_OK) and not os.statvfs(candidate).f_flag & os.ST_NOEXEC:
            return Path(candidate)
    return Path(tempfile.gettempdir())
