"""What managers that are programs have in common: a box, a way to start them, folders that may be absent."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, List, Mapping, Optional

from ...probe.box import MISSING, Box
from ...runtime import process
from .base import Manager


class Programs(Manager):
    """`lock_timeout` is in seconds; `network` is as in network.json."""

    def __init__(
        self,
        lock_timeout: int = 600,
        network: Optional[Mapping[str, Any]] = None,
        box: Optional[Box] = None,
        run: process.Runner = process.run,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._timeout, self._network = lock_timeout, dict(network or {})
        self._box = box or Box()
        self._run, self._clock, self._sleep = run, clock, sleep

    def _names(self, folder: str) -> List[str]:
        """Names in a folder, in order; none where there is no such folder. Raises OSError."""
        try:
            return sorted(os.listdir(self._box.path(folder)))
        except OSError as error:
            if error.errno in MISSING:
                return []
            raise
