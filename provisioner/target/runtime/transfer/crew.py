"""The threads of a fetch: some bring pieces, some digest what has come, one brings it to the disk."""

from __future__ import annotations

import http.client
import os
import time
from typing import Any, Dict

from .ask import Asker, Body, Shared, Trouble, read_some, trouble_of
from .errors import BadFile
from .pace import Bucket, backoff
from .part import Part
from .work import Piece, Work

_BUFFER = 1 << 20
# TLS gives 16 kB at a time: gathered, so that the disk is not asked for each; not for long on a slow line.
_WRITE = 256 << 10
_GATHER_S = 0.2


class Over(Exception):  # noqa: N818
    """The fetch ends; this thread too."""


class Bringer:
    """One connection's worth of work: pieces, one after the other, from wherever they can be had."""

    def __init__(self, work: Work, shared: Shared, bucket: Bucket, stall_s: float, small_first: bool) -> None:
        self._work, self._bucket, self._stall_s = work, bucket, stall_s
        self._small_first = small_first
        self._buffer = memoryview(bytearray(_BUFFER))
        self.asker = Asker(shared, stall_s)

    def run(self) -> None:
        """Until nothing is left to bring, or it is over."""
        piece = None
        try:
            while True:
                piece = self._work.claim(self._small_first)
                if piece is None:
                    return
                self._bring(piece)
                piece = None
        except Over:
            return
        except BaseException as error:  # noqa: BLE001  (whatever it is, the caller of fetch hears it)
            self._work.fail(error)
        finally:
            if piece is not None:
                self._work.leave(piece)
            self.asker.close()

    def _bring(self, piece: Piece) -> None:
        while piece.pos < piece.end:
            if self._work.stop.is_set():
                raise Over
            url = self._work.address(piece)
            try:
                if not self._attempt(piece, url):
                    self._work.leave(piece, stream=True)
                    return
            except Trouble as trouble:
                if self._work.stop.is_set():
                    raise Over from trouble
                self._work.failed(piece, url, trouble)
                if not trouble.lasting:
                    self._pause(trouble.wait or backoff(piece.tries))
        self._work.leave(piece)

    def _attempt(self, piece: Piece, url: str) -> bool:
        """Brings what one answer gives of a piece; False: this server gives the file only as a whole."""
        part = piece.part
        fd = part.open_locked(self._work.lock)
        body = self.asker.part(part.remote, url, piece.pos, piece.end)
        if body.first == piece.pos and (body.ranged or piece.end == part.size):
            left = self._read(body, piece, fd)
        elif piece.to_end:
            self._skip(body, piece.pos - body.first)
            left = self._read(body, piece, fd)
        else:
            self.asker.drop(body.link)
            return False
        self.asker.done(body, read_all=left == 0)
        return True

    def _read(self, body: Body, piece: Piece, fd: int) -> int:
        """Writes the body to its place as long as it is wanted; how much of it was left unread."""
        end = body.end if body.end is not None else piece.part.size
        wanted = piece.end - piece.pos
        ended = False
        while wanted > 0 and piece.pos < end and not ended:
            filled, step = 0, min(wanted, end - piece.pos, self._bucket.step(_BUFFER))
            enough, until = min(step, _WRITE, piece.part.block), time.monotonic() + _GATHER_S
            try:
                while filled < enough and not ended and (not filled or time.monotonic() < until):
                    count = self._some(body, self._buffer[filled:step])
                    filled += count
                    ended = count == 0
            finally:
                # What came before a connection broke is not asked for again.
                if filled:
                    _write(fd, self._buffer[:filled], piece.pos)
                    wanted = self._work.advanced(piece, filled)
                    piece.part.save(self._work.lock, self._work.tuning.save_bytes)
        if wanted > 0 and piece.pos < end:
            self.asker.drop(body.link)
            raise Trouble(f"it ended {end - piece.pos} bytes too early", body.answer.status)
        return end - piece.pos

    def _some(self, body: Body, view: memoryview, new: bool = True) -> int:
        try:
            count = read_some(body.answer, view)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.asker.drop(body.link)
            if isinstance(error, ValueError):
                raise Trouble("the connection was closed") from error
            raise trouble_of(error, False, self._stall_s) from error
        if count:
            if new:
                self._work.heard()
            wait = self._bucket.take(count)
            if wait:
                self._pause(wait)
        return count

    def _skip(self, body: Body, count: int) -> None:
        """Reads over what is there already, from a server that begins each time at the first byte."""
        while count > 0:
            got = self._some(body, self._buffer[: min(count, _BUFFER)], new=False)
            if not got:
                self.asker.drop(body.link)
                raise Trouble("it ended too early", body.answer.status)
            count -= got

    def _pause(self, seconds: float) -> None:
        if self._work.stop.wait(seconds):
            raise Over


class Hasher:
    """Digests files from the front as they come, and publishes each that is right."""

    def __init__(self, work: Work, into_result: Dict[str, str]) -> None:
        self._work, self._result = work, into_result

    def run(self) -> None:
        """Until all files are finished, or it is over."""
        work = self._work
        buffer = memoryview(bytearray(_BUFFER))
        try:
            while True:
                part = work.to_hash()
                if part is None:
                    return
                with work.lock:
                    fd, end = part.open(), part.front_bytes()
                part.hash_to(fd, end, buffer, work.stop.is_set)
                if part.hashed == part.size:
                    self._finish(part)
                with work.lock:
                    part.hashing = False
                    work.lock.notify_all()
        except BaseException as error:  # noqa: BLE001  (whatever it is, the caller of fetch hears it)
            work.fail(error)

    def _finish(self, part: Part) -> None:
        wrong = part.wrong()
        if wrong is None:
            part.publish()
            self._result[part.remote.name] = part.sha256()
            if not part.journaled():
                part.close_locked(self._work.lock)  # others are closed once they are synced
            return
        if not part.here:
            # Before its blocks are free again: a connection would begin to bring them anew.
            self._work.fail(BadFile(f"{part.remote.name}: {wrong}"))
        part.start_over(self._work.lock)


class Syncer:
    """Brings begun files to the disk now and then, so that a power cut costs seconds."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self) -> None:
        """Until it is over."""
        try:
            while not self._work.stop.wait(self._work.tuning.sync_s):
                for part in self._work.parts:
                    if not self._work.stop.is_set():
                        part.sync(self._work.lock)
        except BaseException as error:  # noqa: BLE001  (whatever it is, the caller of fetch hears it)
            self._work.fail(error)


def _write(fd: int, block: Any, at: int) -> None:
    while block:
        count = os.pwrite(fd, block, at)
        block, at = block[count:], at + count
