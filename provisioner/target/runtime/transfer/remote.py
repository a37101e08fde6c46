"""What is to be fetched, and how hard to try."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple, Optional, Tuple

from ...errors import TargetError

BEGUN = ".begun"


class Remote(NamedTuple):
    """One file to fetch. `urls` are tried in order; `size` bytes; digests in hex where published."""

    name: str  # path relative to the folder that is filled
    urls: Tuple[str, ...]
    size: Optional[int]
    sha256: Optional[str] = None
    blob: Optional[str] = None  # git's own digest (sha1 of "blob <n>\0" + content)
    headers: Tuple[
        Tuple[str, str], ...
    ] = ()  # for the hosts of `urls` alone: no redirect carries them elsewhere


class Options(NamedTuple):
    """How a fetch uses the network."""

    connections: int = 8  # in all, over all files
    limit: int = 0  # bytes/s over all connections, 0: none
    stall_s: float = 30.0  # a connection that brings nothing for so long is dropped and tried again
    patience_s: float = 120.0  # without one new byte on any connection for so long the fetch fails


def key_of(remote: Remote) -> str:
    """The name of a begun file: by content where that is published, so that every source goes on with it."""
    if remote.sha256:
        return remote.sha256.lower()
    text = f"{remote.name}\0{'' if remote.size is None else remote.size}\0{remote.blob or ''}"
    return hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest()  # noqa: S324  (a name, no proof)


def begun_path(remote: Remote, into: str) -> str:
    """Where a file lies until it is verified; its journal is beside it, with `.json` behind."""
    return os.path.join(into, BEGUN, key_of(remote))


def final_path(remote: Remote, into: str) -> str:
    """Where a verified file goes. Raises TargetError for a name that leads out of the folder."""
    steps = remote.name.split("/")
    if (
        not remote.name
        or remote.name.startswith("/")
        or ".." in steps
        or steps[0] == BEGUN
        or "\0" in remote.name
    ):
        raise TargetError(f"{remote.name!r} would lie outside of its own folder", "do not use that source")
    return os.path.join(into, remote.name)
