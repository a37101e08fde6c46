"""'Did you mean …': one way to answer a name nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

LISTED = 12


def nearest_hint(wrong: str, known: Sequence[str]) -> str:
    """A next step for an unknown name: the nearest known one, or the first dozen when none is near."""
    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    if not known:
        return "there is none to choose from"
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"known: {', '.join(known[:LISTED])}{more}"
