"""The section bench, only where it was asked for: how fast the disk of the weights and the memory really are.

Reads, never writes: the disk by files that lie there (or as root by the disk itself), around the page cache.
"""

from __future__ import annotations

import itertools
import mmap
import os
import random
import stat
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..box import Box, reason
from . import bandwidth, readings
from .readings import Reading
from .sight import Sight

MIB = 1 << 20
# One read of a loader, and how many are under way at once; fio's --bs=1M and --numjobs=4.
CHUNK, READERS = MIB, 4
PAGE = 4096
SEQUENTIAL_S, RANDOM_S = 1.8, 0.8
# Together with the looking for files, less than three seconds of disk.
SEARCH_S = 0.3
# Smaller files say little.
LEAST = 2 * MIB
ENOUGH = 1 << 30
# Where systems have large files that anyone may read.
USUAL = ("/usr/lib", "/usr/lib64", "/opt", "/usr", "/home")
# Below this the same bytes would be read again and again, out of a disk's own cache.
TOO_LITTLE = 32 * MIB


class Extent(NamedTuple):
    """Something to read on the disk: a file or the disk itself, and its bytes."""

    path: str
    size: int


def section(box: Box, sight: Sight) -> Dict[str, Reading]:
    """`Audit.bench` for the request's `bench`: {"path": the folder of the weights, or nothing}."""
    if not box.live:
        why = "a recorded tree has no disk and no memory to measure"
        names = ("sequential", "random", "memory", "memory_one_thread")
        return {name: readings.not_applicable(why) for name in names}
    places = sight.facts.get("places", {})
    scope = "system" if sight.facts["privilege"] == "root" or "user" not in places else "user"
    path = sight.request["bench"].get("path") or places[scope]["state"]
    return {**disk(path), **bandwidth.memory()}


def disk(path: str) -> Dict[str, Reading]:
    """Sequential and random rate of the disk below a folder, which need not be there yet."""
    parent = path
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    try:
        extents = readable(parent)
        with Opened(extents) as opened:
            return {"sequential": sequential(opened), "random": at_random(opened)}
    except OSError as failure:
        why = reason(failure, failure.filename or parent)
    except Nothing as nothing:
        why = str(nothing)
    return {name: readings.hidden(why, parent) for name in ("sequential", "random")}


class Nothing(Exception):  # noqa: N818 - what there is to read, not a failure of the program
    """There is nothing on a disk that could be read for a measurement; the text says why."""


def readable(folder: str) -> List[Extent]:
    """What can be read on the disk of a folder: its largest files that are found soon, else the disk itself.

    Files come first: blocks of a disk that hold none may never have been written, and cost nothing to read.
    """
    device = os.stat(folder).st_dev
    found = sorted(files(folder, device), key=lambda extent: -extent.size)[:64]
    if sum(extent.size for extent in found) >= TOO_LITTLE:
        return found
    whole = "/dev/block/%d:%d" % (os.major(device), os.minor(device))
    try:
        fd = os.open(whole, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as failure:
        raise Nothing(
            "no files of %d MiB together were found to read, and the disk itself could not be opened (%s)"
            % (TOO_LITTLE // MIB, failure.strerror)
        ) from failure
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)
    return [Extent(whole, size)]


def files(folder: str, device: int) -> Iterator[Extent]:
    """Large files on a device, as long as there is time: below the folder, then where systems have theirs."""
    until = time.monotonic() + SEARCH_S
    found = 0
    for top in (folder, *USUAL):
        for parent, _, names in os.walk(top):
            for name in names:
                extent = large(os.path.join(parent, name), device)
                if extent is not None:
                    yield extent
                    found += extent.size
            if time.monotonic() > until or found >= ENOUGH:
                return


def large(path: str, device: int) -> Optional[Extent]:
    """A file worth reading: regular, large, on this device, with its bytes on the disk (no holes), ours to
    read.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return None  # gone again, or out of our sight: there are others
    whole = found.st_blocks * 512 >= found.st_size
    if stat.S_ISREG(found.st_mode) and found.st_dev == device and found.st_size >= LEAST and whole:
        return Extent(path, found.st_size) if os.access(path, os.R_OK) else None
    return None


class Opened:
    """Extents open for reads around the page cache."""

    def __init__(self, extents: List[Extent]) -> None:
        self.extents = extents
        self.fds: List[int] = []
        self.what = what(extents)

    def __enter__(self) -> Opened:
        try:
            for extent in self.extents:
                self.fds.append(os.open(extent.path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
        except OSError as failure:
            self.close()
            if failure.errno == 22:
                raise Nothing("its file system gives no way around its cache (O_DIRECT)") from failure
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        while self.fds:
            os.close(self.fds.pop())

    def chunks(self) -> List[Tuple[int, int]]:
        """(file, offset) of every whole chunk, in order."""
        return [
            (fd, offset)
            for fd, extent in zip(self.fds, self.extents)
            for offset in range(0, extent.size - extent.size % CHUNK, CHUNK)
        ]


def what(extents: List[Extent]) -> str:
    """What was read, for a person."""
    size = sum(extent.size for extent in extents) // MIB
    if len(extents) == 1:
        return "%s, %d MiB" % (extents[0].path, size)
    return "%d files of %d MiB together, the largest %s" % (len(extents), size, extents[0].path)


def sequential(opened: Opened) -> Reading:
    """Chunks one after the other, a few under way at a time, as those who load weights read."""
    turn = itertools.cycle(opened.chunks())
    lock = threading.Lock()

    def following() -> Tuple[int, int]:
        with lock:
            return next(turn)

    how = "%d MiB at a time, %d at once, around the page cache: %s" % (CHUNK // MIB, READERS, opened.what)
    return rate(following, CHUNK, READERS, SEQUENTIAL_S, how)


def at_random(opened: Opened) -> Reading:
    """Single pages here and there, one at a time."""
    chunks = opened.chunks()
    pick = random.Random(7)  # noqa: S311 - the same places each time

    def following() -> Tuple[int, int]:
        fd, offset = chunks[pick.randrange(len(chunks))]
        return fd, offset + pick.randrange(CHUNK // PAGE) * PAGE

    return rate(
        following, PAGE, 1, RANDOM_S, "4 KiB at a time, one at once, around the page cache: " + opened.what
    )


def rate(
    following: Callable[[], Tuple[int, int]], size: int, readers: int, seconds: float, how: str
) -> Reading:
    """Read for so long; a Rate."""
    until = time.monotonic() + seconds
    done: List[int] = []
    failed: List[OSError] = []

    def work() -> None:
        # Memory of its own mapping is aligned as O_DIRECT wants it.
        buffer = mmap.mmap(-1, size)
        count = 0
        try:
            while time.monotonic() < until:
                fd, offset = following()
                count += os.preadv(fd, [buffer], offset)
        except OSError as failure:
            failed.append(failure)
        done.append(count)

    started = time.monotonic()
    threads = [threading.Thread(target=work, daemon=True) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        # A disk that hangs must not hang the audit.
        thread.join(seconds + 5)
    took = time.monotonic() - started
    if any(thread.is_alive() for thread in threads):
        return readings.error("a read did not come back within %.0f s" % (seconds + 5), how)
    if failed:
        return readings.error("a read failed: %s" % failed[0].strerror, how)
    if not sum(done):
        return readings.hidden("nothing was read in time", how)
    return readings.read(
        {"bytes_per_second": sum(done) / took, "seconds": round(took, 3), "bytes": sum(done), "how": how}, how
    )
