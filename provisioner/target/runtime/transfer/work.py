"""What is left to do, shared by all threads of a fetch: who brings which piece, who digests which file."""

from __future__ import annotations

import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Set

from .ask import Trouble
from .errors import NotFetched
from .pace import LONGEST_ASKED_S
from .part import Part

# An idle connection looks so often whether another has become slow.
_LOOK_S = 0.5
_TELL = 4 << 20


class Tuning(NamedTuple):
    """Sizes in bytes and times in seconds that only tests change."""

    block: int = 0  # 0: by the size of the file
    piece: int = 32 << 20  # one request, at most
    steal: int = 8 << 20  # an idle connection takes half of a piece that has so much left, and
    steal_s: float = 2.0  # will take so long: what a server has sent of the half is lost
    save_s: float = 0.5
    save_bytes: int = 8 << 20  # of one file, that its journal does not know yet
    sync_s: float = 2.0
    first_tries: int = 5  # of a server that has never answered
    clock: Callable[[], float] = time.monotonic


class Piece:
    """A stretch of a file that one connection brings, from `pos` on."""

    def __init__(self, part: Part, start: int, end: int, to_end: bool = False) -> None:
        self.part, self.start, self.pos, self.end = part, start, start, end
        self.since = 0.0  # when it was claimed
        self.tries = 0  # failures in a row, without a byte between
        self.url = 0  # index of the address in use
        self.to_end = to_end  # all that is missing, of a server that gives files only from the first byte on


class Work:
    """The lock of a fetch and all that it guards."""

    def __init__(self, parts: List[Part], connections: int, patience_s: float, tuning: Tuning) -> None:
        self.tuning, self._patience_s, self._connections = tuning, patience_s, connections
        self.lock = threading.Condition()
        self.stop = threading.Event()
        self.error: Optional[BaseException] = None
        small = [part for part in parts if part.size <= tuning.piece]
        self.parts = parts
        self._large, self._small = [part for part in parts if part not in small], small
        self._active: Set[Piece] = set()
        self._bad: Dict[str, Dict[str, Trouble]] = {}  # by file and address: what will not change
        self._last: Optional[NotFetched] = None
        self.count = 0  # bytes that came and were wanted
        self._heard = tuning.clock()
        self._asked_to_wait = 0.0

    # --- pieces ---------------------------------------------------------------------------------------------

    def claim(self, small_first: bool) -> Optional[Piece]:
        """The next piece to bring; waits while others may still give one back. None: there is no more."""
        with self.lock:
            while not self.stop.is_set():
                order = self._small + self._large if small_first else self._large + self._small
                piece = self._free(order) or self._half_of_one()
                if piece is not None:
                    if not self._active:
                        self.heard()  # nobody was waiting for a byte until now
                    piece.since = self.tuning.clock()
                    self._active.add(piece)
                    return piece
                if all(part.finished for part in self.parts):
                    return None
                self.lock.wait(_LOOK_S)
            return None

    def _free(self, order: List[Part]) -> Optional[Piece]:
        for part in order:
            if part.finished or part.claimed.full():
                continue
            if part.stream:
                rest = self._rest_of(part)
                if rest is None:
                    continue
                return rest
            first = part.next_free
            while first < part.claimed.count and part.claimed[first]:
                first += 1
            part.next_free = first
            most = max(1, self._size_now() // part.block)
            last = first
            while last < part.claimed.count and last - first < most and not part.claimed[last]:
                part.claimed.set(last)
                last += 1
            return Piece(part, first * part.block, min(part.size, last * part.block))
        return None

    def _rest_of(self, part: Part) -> Optional[Piece]:
        """From the first missing block to the end, for one connection alone."""
        if any(piece.part is part for piece in self._active):
            return None
        start = part.front_bytes()
        for index in range(part.claimed.count):
            part.claimed.set(index)
        return Piece(part, start, part.size, to_end=True)

    def _size_now(self) -> int:
        """Smaller pieces towards the end, so that all connections have one."""
        left = sum((p.claimed.count - p.claimed.ones) * p.block for p in self.parts if not p.finished)
        return min(self.tuning.piece, left // (2 * self._connections))

    def _half_of_one(self) -> Optional[Piece]:
        """The second half of the piece that has most left: its connection may be slow, or stall."""
        candidates = [piece for piece in self._active if not piece.part.stream]
        if not candidates:
            return None
        victim = max(candidates, key=lambda piece: piece.end - piece.pos)
        block, left = victim.part.block, victim.end - victim.pos
        middle = -(-(victim.pos + left // 2) // block) * block
        if left < self.tuning.steal or not victim.pos < middle < victim.end:
            return None
        age, came = self.tuning.clock() - victim.since, victim.pos - victim.start
        if age < self.tuning.steal_s or came * self.tuning.steal_s > left * age:
            return None  # young, or soon to be here
        taken = Piece(victim.part, middle, victim.end)
        victim.end = middle
        return taken

    def advanced(self, piece: Piece, count: int) -> int:
        """So many bytes more of a piece are written; how many are still wanted of it."""
        with self.lock:
            # What was read beyond its end is another's by now.
            fresh, before = max(0, min(count, piece.end - piece.pos)), piece.part.bytes_here()
            piece.pos += count
            piece.tries = 0
            changed = piece.part.written(piece.start, min(piece.pos, piece.end))
            # Not for each block: whoever digests has enough to do for a while.
            if piece.pos >= piece.end or (changed and (piece.pos - count) // _TELL != piece.pos // _TELL):
                self.lock.notify_all()
            # Such a piece also goes over what is here already.
            self.count += piece.part.bytes_here() - before if piece.to_end else fresh
            return piece.end - piece.pos

    def leave(self, piece: Piece, stream: bool = False) -> None:
        """A piece is brought, or given back as far as it is not."""
        with self.lock:
            self._active.discard(piece)
            part = piece.part
            part.stream = part.stream or stream
            if piece.pos < piece.end:
                first = piece.pos // part.block
                for index in range(first, -(-piece.end // part.block)):
                    if not part.done[index]:
                        part.claimed.unset(index)
                part.next_free = min(part.next_free, first)
            self.lock.notify_all()

    # --- trouble --------------------------------------------------------------------------------------------

    def heard(self) -> None:
        """A byte came."""
        self._heard = self.tuning.clock()
        self._asked_to_wait = 0.0

    def address(self, piece: Piece) -> str:
        """Where to ask for a piece now. Raises NotFetched when no address is left."""
        remote = piece.part.remote
        with self.lock:
            bad = self._bad.get(remote.name, {})
            for step in range(len(remote.urls)):
                url = remote.urls[(piece.url + step) % len(remote.urls)]
                if url not in bad:
                    piece.url = (piece.url + step) % len(remote.urls)
                    return url
            if not remote.urls:
                raise NotFetched(remote.name, "", None, "there is no address for it")
            url = remote.urls[0]
            raise NotFetched(remote.name, url, bad[url].status, bad[url].why)

    def failed(self, piece: Piece, url: str, trouble: Trouble) -> None:
        """An address gave trouble: the next one is tried, and this one not again where it will not change."""
        remote = piece.part.remote
        with self.lock:
            piece.tries += 1
            piece.url = (piece.url + 1) % len(remote.urls)
            self._last = NotFetched(remote.name, url, trouble.status, trouble.why)
            never = trouble.unreached and piece.tries >= self.tuning.first_tries * len(remote.urls)
            if trouble.lasting or never:
                self._bad.setdefault(remote.name, {})[url] = trouble
            if trouble.wait:
                announced = self.tuning.clock() - self._heard + trouble.wait
                self._asked_to_wait = min(LONGEST_ASKED_S, max(self._asked_to_wait, announced))

    def impatient(self) -> Optional[NotFetched]:
        """Why to give up, when nothing came for too long; what servers asked to wait for is granted."""
        silent = self.tuning.clock() - self._heard
        if silent <= self._patience_s + self._asked_to_wait:
            return None
        with self.lock:
            last = self._last
            waiting = next((piece.part.remote for piece in self._active), None)
        if waiting is None:
            return None  # only digests are left
        if last is not None:
            return NotFetched(
                last.name, last.url, last.status, f"{last.why} (not one byte came for {silent:.0f} s)"
            )
        url = waiting.urls[0] if waiting.urls else ""
        return NotFetched(waiting.name, url, None, f"not one byte came for {silent:.0f} s")

    def fail(self, error: BaseException) -> None:
        """The first error ends the fetch."""
        with self.lock:
            if self.error is None:
                self.error = error
            self.halt()

    def halt(self) -> None:
        """Every thread ends as soon as it notices."""
        with self.lock:
            self.stop.set()
            self.lock.notify_all()

    # --- digests --------------------------------------------------------------------------------------------

    def to_hash(self) -> Optional[Part]:
        """A file with bytes that nobody has digested yet, in order; None: all are finished, or it is over."""
        with self.lock:
            while not self.stop.is_set():
                open_parts = [part for part in self.parts if not part.finished]
                for part in open_parts:
                    if not part.hashing and (part.front_bytes() > part.hashed or part.size == 0):
                        part.hashing = True
                        return part
                if not open_parts:
                    self.lock.notify_all()
                    return None
                self.lock.wait()
            return None
