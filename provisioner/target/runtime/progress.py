"""What a job says while it works: one small file, replaced whole, never more than a few times a second."""

from __future__ import annotations

import time
from collections import deque
from typing import Callable, Deque, Optional, Tuple

from .files import write_json

EVERY_S = 0.5
WINDOW_S = 10.0


class Progress:
    """Writes `{"job", "phase", "done_bytes", "total_bytes", "rate", "eta_s", "at"}` to `path`.

    Rates are bytes a second over the last ten seconds, so a resumed download does not count what it found.
    """

    def __init__(
        self,
        path: str,
        job: str,
        clock: Callable[[], float] = time.time,
        write: Callable[[str, object], None] = write_json,
    ) -> None:
        self._path, self._job, self._clock, self._write = path, job, clock, write
        self._phase = ""
        self._done: Optional[int] = None
        self._total: Optional[int] = None
        self._samples: Deque[Tuple[float, int]] = deque()
        self._written = float("-inf")

    def phase(self, text: str, total: Optional[int] = None, done: Optional[int] = None) -> None:
        """Begins something that has a name; `total` and `done` in bytes where they are known."""
        self._phase, self._total = text, total
        self._done = done if done is not None or total is None else 0
        self._samples.clear()
        self._sample()
        self._emit()

    def at(self, done: int) -> None:
        """So many bytes of this phase are there now."""
        self._done = done
        if self._total is not None and done > self._total:
            self._total = done
        self._sample()
        if self._clock() - self._written >= EVERY_S:
            self._emit()

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.at((self._done or 0) + count)

    def _sample(self) -> None:
        if self._done is None:
            return
        now = self._clock()
        # Two samples a second are plenty: a rate over thousands of blocks is the same number.
        if len(self._samples) < 2 or now - self._samples[-2][0] >= EVERY_S:
            self._samples.append((now, self._done))
        else:
            self._samples[-1] = (now, self._done)
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()

    def _emit(self) -> None:
        now = self._clock()
        rate: Optional[float] = None
        eta: Optional[float] = None
        if len(self._samples) > 1:
            (start, first), (end, last) = self._samples[0], self._samples[-1]
            if end > start and last >= first:
                rate = round((last - first) / (end - start), 1)
        if rate and self._total is not None and self._done is not None:
            eta = round((self._total - self._done) / rate, 1)
        self._write(
            self._path,
            {
                "job": self._job, "phase": self._phase, "done_bytes": self._done, "total_bytes": self._total,
                "rate": rate, "eta_s": eta, "at": round(now, 3),
            },
        )  # fmt: skip
        self._written = now
