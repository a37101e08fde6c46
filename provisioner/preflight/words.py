"""Amounts and lists as findings say them."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def size(bytes_: float) -> str:
    """Bytes for a sentence: 238 MB, 9.5 GB, 24 GB."""
    for unit, factor in _UNITS:
        if bytes_ >= factor:
            number = bytes_ / factor
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{bytes_:.0f} bytes"


def seconds(count: float) -> str:
    """Seconds for a sentence: 0.4 seconds, 42 seconds, 3 minutes."""
    if count < 10:
        return f"{count:.1f} seconds"
    return f"{count:.0f} seconds" if count < 100 else f"{count / 60:.0f} minutes"


def several(count: int, thing: str) -> str:
    """1 core, 2 cores, 2 addresses."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}{'es' if thing.endswith('s') else 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names for a sentence: a, b and c; of many the first, and how many more."""
    shown = [name or "one without a name" for name in names]
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
