"""Bounded waiting."""

from __future__ import annotations

import time
from collections.abc import Callable

from .process import LabError

INTERVAL = 0.1


def until(
    condition: Callable[[], bool],
    timeout: float,
    complaint: str,
    details: Callable[[], str] | None = None,
) -> None:
    """Poll `condition` until it holds; LabError(`complaint`, `details()`) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{complaint} within {timeout:g} s", details() if details else "")
        time.sleep(INTERVAL)
