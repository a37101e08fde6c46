"""'Did you mean …': one way to answer a name nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def nearest_hint(wrong: str, known: Sequence[str]) -> str:
    """A next step for an unknown name: the nearest known one, or the whole list when none is near."""
    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(known)}" if known else "there is none to choose from"
