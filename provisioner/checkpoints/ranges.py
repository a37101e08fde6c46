"""A file on a server, read in parts as if it were here."""

from __future__ import annotations

import http.client
import io
import threading
import time

from provisioner.target.runtime.transfer import NotFetched, Remote
from provisioner.target.runtime.transfer.ask import Asker, Shared, Trouble, read_some, trouble_of

STALL_S = 30.0
TRIES = 4
# Seconds; who asks to come back later than that is not waited for.
LONGEST_WAIT = 10.0
# Bytes that are read over to reach a part, of a server that only sends files from their first byte on.
LONGEST_WAY = 16 << 20


class Counter:
    """Bytes that came, over all connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self, count: int) -> None:
        """So many more."""
        with self._lock:
            self.count += count


class RangeFile(io.RawIOBase):
    """Bytes of `remote`, asked for as they are read. Raises NotFetched when no address gives them."""

    def __init__(self, remote: Remote, shared: Shared, counter: Counter) -> None:
        super().__init__()
        assert remote.size is not None
        self._remote, self._size, self._counter = remote, remote.size, counter
        self._asker = Asker(shared, STALL_S)
        self._at = 0

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file; nothing is asked for."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, all of them unless the file ends before."""
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        block = bytearray(end - self._at)
        self._fill(memoryview(block), self._at)
        self._at = end
        return bytes(block)

    def close(self) -> None:
        """Hang up."""
        self._asker.close()
        super().close()

    def _fill(self, view: memoryview, start: int) -> None:
        """Fills `view` with the file's bytes from `start` on, over several connections where one breaks."""
        came, tries = 0, 0
        while came < len(view):
            url = self._remote.urls[tries % len(self._remote.urls)]
            try:
                fresh = self._part(view[came:], url, start + came)
            except Trouble as trouble:
                tries += 1
                if trouble.lasting or tries >= TRIES or (trouble.wait or 0) > LONGEST_WAIT:
                    raise NotFetched(self._remote.name, url, trouble.status, trouble.why) from trouble
                time.sleep(trouble.wait or 0.2 * tries)
                continue
            tries = 0 if fresh else tries
            came += fresh

    def _part(self, view: memoryview, url: str, start: int) -> int:
        """What one answer brings of it; at least a byte. Raises Trouble."""
        body = self._asker.part(self._remote, url, start, start + len(view))
        came, over = 0, start - body.first
        try:
            if over > LONGEST_WAY:
                raise Trouble("the server gives no parts of files", body.answer.status, lasting=True)
            scrap = memoryview(bytearray(min(over, 1 << 16)))
            while came < len(view):
                part = scrap[:over] if over else view[came:]
                count = read_some(body.answer, part)
                if count == 0:
                    break
                self._counter.add(count)
                if over:
                    over -= count
                else:
                    came += count
        except (OSError, http.client.HTTPException) as error:
            if not came:
                raise trouble_of(error, unreached=False, stall_s=STALL_S) from error
        finally:
            self._asker.done(body, read_all=body.ranged and came == len(view))
        if not came:
            raise Trouble("it ended before the part that was asked for")
        return came
