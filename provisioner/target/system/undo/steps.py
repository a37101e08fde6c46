"""What is to be done to put a role's things back, as data with a function: shown first, done later."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple


class Step(NamedTuple):
    """One thing that is taken off or put back. `size`: bytes that become free; `act` may be done again."""

    role: str
    what: str
    size: int
    act: Callable[[], None]

    def said(self, done: bool) -> Dict[str, Any]:
        """As a person and a program read it."""
        return {"role": self.role, "what": self.what, "bytes": self.size, "done": done}


class Kept(NamedTuple):
    """What stays as it is, and why."""

    role: str
    what: str
    why: str

    def said(self) -> Dict[str, str]:
        """As a person and a program read it."""
        return {"role": self.role, "what": self.what, "why": self.why}


class Way(NamedTuple):
    """The way back of one role, or of one of its things."""

    steps: List[Step]
    kept: List[Kept]

    def add(self, other: "Way") -> None:
        """What the other says comes after this."""
        self.steps.extend(other.steps)
        self.kept.extend(other.kept)


def way() -> Way:
    """One on which nothing is to be done."""
    return Way([], [])
