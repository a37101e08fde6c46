"""Where the lab keeps things between runs, and the locks that let several runs share them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def root() -> Path:
    """The lab's folder: $PROVISION_LAB_CACHE, or ~/.cache/provision-lab."""
    configured = os.environ.get("PROVISION_LAB_CACHE")
    return (
        Path(configured).expanduser().absolute() if configured else Path.home() / ".cache" / "provision-lab"
    )


def folder(*parts: str) -> Path:
    """A folder below `root()`, made when it is not there."""
    path = root().joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock of that name against every other process on this cache; waits for it."""
    with (folder("locks") / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
