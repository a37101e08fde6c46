"""What one box has of one model at this moment: published, or coming down, block by block.

Read from what the weights job leaves on the disk (docs/architecture.md, Weights on their way); the job knows
nothing of its readers.
"""

from __future__ import annotations

import os
import stat as modes
import threading
import time
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from .. import manifest
from ..files import read_json
from ..transfer.journal import boot_id
from ..transfer.remote import BEGUN, Remote, key_of

# One look at the disk serves all requests for so long.
LOOK_S = 0.2


class Entry(NamedTuple):
    """A file of the model; size in bytes, digests in hexadecimal where they are known."""

    name: str
    size: Optional[int]
    sha256: Optional[str]
    blob: Optional[str]

    @property
    def key(self) -> str:
        """The name by which the file is known while it comes down."""
        return key_of(Remote(self.name, (), self.size, self.sha256, self.blob))


class Gone(Exception):  # noqa: N818  (no error: the file that was being read has been replaced)
    """What was being sent is no longer what is there."""


class _Journal(NamedTuple):
    """Which blocks of a file that comes down are there, and the inode that this was said of."""

    inode: int
    size: int
    block: int
    done: bytes

    def reach(self, position: int, end: int) -> int:
        """Up to where, `end` at most, the bytes from `position` on are there without a gap."""
        index = position // self.block
        while (
            index * self.block < end
            and index // 8 < len(self.done)
            and self.done[index // 8] >> (index % 8) & 1
        ):
            index += 1
        return max(position, min(index * self.block, self.size, end))


class Shelf:
    """The model in `path`, or in its `.partial-` beside it, as long as it is the one that is `wanted`.

    `job` is the folder of the job that fetches it: a listing older than the job's start is an earlier one's.
    """

    def __init__(self, path: str, wanted: str, job: str, clock: Callable[[], float] = time.monotonic) -> None:
        path = path.rstrip("/")
        self._path, self._wanted, self._job, self._clock = path, wanted, job, clock
        self._partial = os.path.join(os.path.dirname(path), ".partial-" + os.path.basename(path))
        self._boot = boot_id()
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._moved = clock()
        self._journals: Dict[str, _Journal] = {}
        self._published: Optional[Dict[str, Any]] = None
        self._begun: Optional[Dict[str, Any]] = None
        self._signature: Any = None

    # --- what there is --------------------------------------------------------------------------------------

    def listing(self) -> Optional[Dict[str, Any]]:
        """`{"files": [{name, size, sha256, blob}], "pinned"}`, or None while nobody knows it yet."""
        self._look()
        known = self._published or self._begun
        if known is None:
            return None
        files = [Entry(e["name"], e.get("size"), e.get("sha256"), e.get("blob")) for e in known["files"]]
        return {
            "schema": 1,
            "files": [entry._asdict() for entry in files if is_safe(entry.name)],
            "pinned": known.get("pinned") or {},
        }

    def find(self, name: str) -> Optional[Entry]:
        """The entry of a file by its name, if the model has one."""
        listed = self.listing() or {"files": []}
        return next((Entry(**file) for file in listed["files"] if file["name"] == name), None)

    def moved(self) -> float:
        """When something last came down or was published, by the clock."""
        self._look()
        return self._moved

    def places(self, entry: Entry) -> Iterator[Tuple[str, Optional[_Journal]]]:
        """Where a file may be, in the order in which it moves on, so that none escapes between two looks."""
        self._look()
        key = entry.key
        journal = self._journals.get(key)
        if journal is not None:
            yield os.path.join(self._partial, BEGUN, key), journal
        if self._begun is not None and _stays_in(self._partial, entry.name):
            yield os.path.join(self._partial, entry.name), None
        # Looked at anew: it may have been published since.
        here = self._published is not None or self._is_wanted(self._manifest())
        if here and _stays_in(self._path, entry.name):
            yield os.path.join(self._path, entry.name), None

    # --- looking --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        with self._lock:
            if self._clock() - self._looked < LOOK_S:
                return
            self._looked = self._clock()
            self._begun = self._listed()
            self._journals = dict(self._read_journals()) if self._begun else {}
            found = self._manifest()
            self._published = found if self._is_wanted(found) else None
            signature = (self._published is None, self._begun is None, self._journals)
            if signature != self._signature:
                self._signature, self._moved = signature, self._clock()

    def _listed(self) -> Optional[Dict[str, Any]]:
        path = os.path.join(self._partial, ".listing.json")
        known = read_json(path)
        if not self._is_wanted(known) or _mtime(path) < _mtime(os.path.join(self._job, "spec.json")):
            return None
        return known

    def _manifest(self) -> Optional[Dict[str, Any]]:
        return manifest.read(self._path)

    def _is_wanted(self, known: Optional[Dict[str, Any]]) -> bool:
        return known is not None and known.get("wanted") == self._wanted and "files" in known

    def _read_journals(self) -> Iterator[Tuple[str, _Journal]]:
        folder = os.path.join(self._partial, BEGUN)
        try:
            names = [name for name in os.listdir(folder) if name.endswith(".json")]
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            data = os.path.join(folder, name[: -len(".json")])
            before = _inode(data)
            said = read_json(os.path.join(folder, name))
            # A file that was thrown away and begun anew has another inode: what was said of one is not true
            # of the other.
            if said is None or before is None or _inode(data) != before:
                continue
            # What a crash of the whole box has not been told to the disk may be missing in it.
            bits = said["done"] if said.get("boot") == self._boot else said.get("durable") or ""
            yield name[: -len(".json")], _Journal(before, said["size"], said["block"], bytes.fromhex(bits))


class Reading:
    """One file of a shelf, while it is sent to one taker. Close it."""

    def __init__(self, shelf: Shelf, entry: Entry) -> None:
        self._shelf, self._entry = shelf, entry
        self._fd: Optional[int] = None
        self._inode: Optional[int] = None

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd is not None:
            os.close(self._fd)

    @property
    def fd(self) -> int:
        """The descriptor to send from, once `ready` has found something."""
        assert self._fd is not None
        return self._fd

    def whole_size(self) -> Optional[int]:
        """Bytes of the file if it is whole; None while it comes down."""
        for path, journal in self._shelf.places(self._entry):
            if journal is None and _inode(path) is not None:
                return os.stat(path).st_size
        return None

    def ready(self, position: int, end: int) -> int:
        """Up to where bytes from `position` on may be sent now. Raises Gone, OSError."""
        for path, journal in self._shelf.places(self._entry):
            inode = _inode(path)
            if inode is None or (journal is not None and journal.inode != inode):
                continue
            if self._fd is None:
                self._open(path)
            if inode != self._inode:
                raise Gone
            return end if journal is None else journal.reach(position, end)
        if self._fd is not None:
            # It was there and is nowhere: its digest was wrong.
            raise Gone
        return position

    def _open(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        found = os.fstat(self._fd)
        self._inode = found.st_ino
        if self._entry.size not in (None, found.st_size):
            raise Gone


def is_safe(name: Any) -> bool:
    """Whether a name stays inside the folder that it is relative to."""
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    return not name.startswith("/") and all(part not in ("", ".", "..") for part in name.split("/"))


def _stays_in(folder: str, name: str) -> bool:
    """Whether no folder on the way to the file is a link that leads elsewhere."""
    below = os.path.dirname(name)
    return os.path.realpath(os.path.join(folder, below)) == os.path.join(
        os.path.realpath(folder), below
    ).rstrip("/")


def _inode(path: str) -> Optional[int]:
    """The inode of a plain file that is there; None for all else, links among it."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino if modes.S_ISREG(found.st_mode) else None


def _mtime(path: str) -> int:
    """Nanoseconds since the epoch; 0 for what is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0
