"""What is known of cmdlets: their parameters in Windows PowerShell 5.1, and which of them honour -WhatIf."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.powershell.parameters import COMMON

_FILE = Path(__file__).with_name("cmdlets.yml")


@dataclass(frozen=True)
class Cmdlet:
    """One cmdlet; names in small letters."""

    name: str
    values: frozenset[str]
    switches: frozenset[str]
    changes: bool

    def parameter(self, given: str) -> str | None:
        """The parameter a name or its beginning stands for."""
        low = given.lower()
        extra = set(COMMON) | ({"whatif", "confirm"} if self.changes else set())
        every = self.values | self.switches
        if low in every:
            return low
        if low in extra:
            return COMMON.get(low, low)
        starts = [one for one in every | extra if one.startswith(low)]
        return starts[0] if len(starts) == 1 else None


class Known(NamedTuple):
    """All of it."""

    cmdlets: dict[str, Cmdlet]
    aliases: frozenset[str]
    verbs: frozenset[str]


def _read() -> Known:
    held = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    found = {
        name.lower(): Cmdlet(
            name,
            frozenset((facts.get("values") or "").lower().split()),
            frozenset((facts.get("switches") or "").lower().split()),
            facts.get("changes", False),
        )
        for name, facts in held["cmdlets"].items()
    }
    return Known(
        found, frozenset(held["aliases"]["names"].lower().split()), frozenset(held["verbs"]["names"].split())
    )


KNOWN = _read()
