"""One file on its way: its place on disk, which of its blocks are there, and its digests."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import threading
from typing import Any, List, Optional

from .errors import BadFile
from .journal import Bits, Entry, block_for, blocks_of, bytes_of, read_entry, write_entry
from .remote import Remote, begun_path, final_path

# What a file system says that cannot set space aside.
_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV, errno.EBADF)


class Part:
    """A file of known size. Blocks are claimed, written, hashed from the front; methods need the work's lock
    unless they say otherwise."""

    def __init__(self, remote: Remote, into: str, boot: str, block: int = 0) -> None:
        assert remote.size is not None
        self.remote, self.size, self._boot = remote, remote.size, boot
        self.path, self.final = begun_path(remote, into), final_path(remote, into)
        self.twins: List[str] = []  # paths of files with the same content
        found = read_entry(self.path, boot)
        if found is not None and found.size == self.size:
            self.block, self.done, self.durable = found.block, found.done, found.durable
        else:
            self.block = block or block_for(self.size)
            count = blocks_of(self.size, self.block)
            self.done, self.durable = Bits(count), Bits(count)
        self.here = _size_of(self.final) == self.size
        if self.here:
            for index in range(self.done.count):
                self.done.set(index)
        self.claimed = self.done.copy()
        self.next_free = 0
        self.front = 0  # blocks from the start that are there
        self.unsaved = 0  # blocks that the journal does not know
        self.stream = False  # the server gives it only from its first byte on
        self.hashing = False
        self.finished = False
        self.fd = -1
        self._saving = threading.Lock()
        self._forget_hash()

    def bytes_here(self) -> int:
        """Bytes that are there now."""
        return bytes_of(self.done, self.size, self.block)

    def journaled(self) -> bool:
        """Whether it has a journal: one block is there or it is not."""
        return self.done.count > 1 and not self.here

    # --- disk -----------------------------------------------------------------------------------------------

    def open(self) -> int:
        """The descriptor, made the first time; then the space for the whole file is taken. Raises OSError."""
        if self.fd < 0 and self.here:
            self.fd = os.open(self.final, os.O_RDONLY | os.O_CLOEXEC)
        elif self.fd < 0:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            if not self.done.ones:
                _remove(self.path + ".json")  # one that tells of another file would be believed after a cut
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                allocate(fd, self.size, self.path)
            except OSError:
                os.close(fd)
                if not self.done.ones:
                    os.unlink(self.path)
                raise
            self.fd = fd
        return self.fd

    def open_locked(self, lock: Any) -> int:
        """`open`, by one thread at a time."""
        with lock:
            return self.open()

    def close_locked(self, lock: Any) -> None:
        """`close`, by one thread at a time."""
        with lock:
            self.close()

    def close(self) -> None:
        """The descriptor is given back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def tidy(self) -> None:
        """At the end: closes it, and takes away what no later fetch could use."""
        self.close()
        if not self.finished and not self.here and (not self.done.ones or not self.journaled()):
            for path in (self.path, self.path + ".json"):
                _remove(path)

    def save(self, lock: Any, least: int = 0) -> None:
        """Writes the journal, if there is news, of at least so many bytes; takes the work's lock itself."""
        if self.unsaved * self.block < least:
            return
        with self._saving:
            with lock:
                news = self.unsaved * self.block
                if not news or news < least or self.finished or not self.journaled():
                    return
                entry = Entry(self.size, self.block, self.done.copy(), self.durable.copy())
                self.unsaved = 0
            write_entry(self.path, self.remote.name, entry, self._boot, sync=False)

    def sync(self, lock: Any) -> None:
        """Brings what is there to the disk, then says so in the journal; takes the work's lock itself."""
        with lock:
            if self.fd < 0 or self.here or not self.done.ones:
                return
            if self.durable.ones == self.done.ones:
                if self.finished:
                    self.close()
                return
            known, fd = self.done.copy(), os.dup(self.fd)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
        with self._saving:
            with lock:
                if not self.done.ones:
                    return  # thrown away meanwhile
                self.durable.merge(known)
                if self.finished or not self.journaled():
                    return
                entry = Entry(self.size, self.block, self.done.copy(), self.durable.copy())
            write_entry(self.path, self.remote.name, entry, self._boot, sync=True)

    # --- blocks ---------------------------------------------------------------------------------------------

    def written(self, start: int, end: int) -> bool:
        """Bytes `start` to `end` are there, `start` being a block's; True when a block became whole."""
        changed = False
        first, last = start // self.block, end // self.block
        if end == self.size:
            last = self.done.count
        for index in range(first, last):
            if not self.done[index]:
                self.done.set(index)
                self.unsaved += 1
                changed = True
        while self.front < self.done.count and self.done[self.front]:
            self.front += 1
        return changed

    def front_bytes(self) -> int:
        """Bytes from the start without a gap."""
        while self.front < self.done.count and self.done[self.front]:
            self.front += 1
        return min(self.size, self.front * self.block)

    def start_over(self, lock: Any) -> None:
        """Nothing of it is here any more; takes the work's lock itself."""
        with self._saving, lock:
            self.close()
            for path in (self.path, self.path + ".json", self.final if self.here else self.path):
                _remove(path)
            self.here = False
            for bits in (self.done, self.durable, self.claimed):
                bits.clear()
            self.front = self.next_free = self.unsaved = 0
            self._forget_hash()

    # --- digests --------------------------------------------------------------------------------------------

    def _forget_hash(self) -> None:
        self.hashed = 0
        self._sha256 = hashlib.sha256()
        self._blob: Any = None
        if self.remote.blob and not self.remote.sha256:
            self._blob = hashlib.sha1(b"blob %d\0" % self.size)  # noqa: S324  (git's own digest)

    def hash_to(self, fd: int, end: int, buffer: memoryview, stopped: Any) -> None:
        """Reads on to `end` and digests it; without the lock, by one thread at a time."""
        while self.hashed < end and not stopped():
            count = os.preadv(fd, [buffer[: min(len(buffer), end - self.hashed)]], self.hashed)
            if count <= 0:
                raise BadFile(f"{self.remote.name}: it became shorter while it was read")
            self._sha256.update(buffer[:count])
            if self._blob is not None:
                self._blob.update(buffer[:count])
            self.hashed += count

    def wrong(self) -> Optional[str]:
        """What is wrong with the whole file, digested; None for nothing."""
        pairs = ((self.remote.sha256, self._sha256), (self.remote.blob if self._blob else None, self._blob))
        for published, digest in pairs:
            if published and digest.hexdigest() != published.lower():
                return f"the digest is {digest.hexdigest()[:12]}… and {published[:12]}… was published"
        return None

    def sha256(self) -> str:
        """In hexadecimal, of the whole file."""
        return str(self._sha256.hexdigest())

    def publish(self) -> None:
        """The verified file appears under its name, and those of its twins; without the lock."""
        with self._saving:
            if not self.here:
                os.makedirs(os.path.dirname(self.final), exist_ok=True)
                os.replace(self.path, self.final)
            _remove(self.path + ".json")
            for twin in self.twins:
                os.makedirs(os.path.dirname(twin), exist_ok=True)
                _remove(twin)
                try:
                    os.link(self.final, twin)
                except PermissionError:
                    shutil.copyfile(self.final, twin)  # a file system without hard links
            self.finished = True


def allocate(fd: int, size: int, path: str) -> None:
    """Takes the space for a whole file, so that a full disk says so before the first byte. Raises OSError."""
    try:
        if size:
            os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in _NO_ALLOCATION:
            raise OSError(error.errno, error.strerror, path) from error
    os.ftruncate(fd, size)


def _size_of(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
