"""When to go on: the bandwidth limit that all connections share, and waits between attempts."""

from __future__ import annotations

import random
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Callable, Optional

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
LONGEST_ASKED_S = 600.0


class Bucket:
    """A token bucket of `rate` bytes/s; 0 lets everything through. It holds an eighth of a second."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._lock = threading.Lock()
        self._tokens = self._most = rate / 8
        self._at = clock()

    def take(self, count: int) -> float:
        """Counts so many bytes that came; the seconds to wait before more are read."""
        if not self.rate:
            return 0.0
        with self._lock:
            now = self._clock()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self.rate) - count
            self._at = now
            return max(0.0, -self._tokens / self.rate)

    def step(self, most: int) -> int:
        """Bytes to read at once, so that a low limit is even and not in bursts."""
        return most if not self.rate else max(1024, min(most, self.rate // 20))


def backoff(tries: int) -> float:
    """Seconds to wait after the `tries`-th failure in a row (from 1), spread so that not all come at once."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * float(2 ** min(tries - 1, 10))) * random.uniform(0.75, 1.25)  # noqa: S311


def retry_after(text: Optional[str], now: Callable[[], float] = time.time) -> Optional[float]:
    """Seconds that a Retry-After header asks for, at most ten minutes; None where it makes no sense."""
    if not text:
        return None
    try:
        seconds = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - now()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(LONGEST_ASKED_S, max(0.0, seconds))
