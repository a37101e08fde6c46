"""Numbers out of a model's own description, none of them trusted: what is missing or absurd is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioner.errors import UsageError

# No published model is near any of these; a number beyond them is a damaged or hostile file.
LAYERS, HEADS, SIZE, VOCABULARY, CONTEXT, EXPERTS = 4096, 65_536, 1 << 22, 1 << 26, 1 << 31, 65_536


class ShapeError(UsageError):
    """A model's description lacks a number, or has one that cannot be; the message names the field."""


@dataclass(frozen=True)
class Fields:
    """The values of one description: `file` and `within` say where, for messages."""

    model: str
    values: Mapping[str, Any]
    file: str = "config.json"
    within: str = ""

    def inner(self, name: str) -> Fields:
        """The mapping under `name`; ShapeError where it is none."""
        value = self.values[name]
        if not isinstance(value, Mapping):
            raise self.wrong(name, f"is {shown(value)}, not a group of fields")
        return Fields(self.model, value, self.file, f"{self.within}{name}.")

    def has(self, *names: str) -> bool:
        """Whether any of the names has a value."""
        return any(self.values.get(name) is not None for name in names)

    def need(self, names: str, most: int, least: int = 1) -> int:
        """The number under the first of the names ("a or b") that is there; ShapeError without one."""
        found = self.number(names, most, least)
        if found is None:
            raise ShapeError(
                f"{self.model}: {self.file} lacks {self.within}{names}",
                hint=f"memory cannot be planned without it: have {self.file} fetched again, or name another "
                "repository or file of this model",
            )
        return found

    def number(self, names: str, most: int, least: int = 1) -> int | None:
        """The same, or None where none is there. ShapeError for one that cannot be."""
        for name in names.split(" or "):
            value = self.values.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise self.wrong(name, f"is {shown(value)}, not a whole number")
            if not least <= value <= most:
                raise self.wrong(name, f"is {shown(value)}, which cannot be: {least} to {most} can")
            return value
        return None

    def text(self, name: str, default: str = "") -> str:
        """The text under a name; ShapeError where it is something else."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, f"is {shown(value)}, not a text")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """The truth value under a name; ShapeError where it is something else."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, f"is {shown(value)}, neither true nor false")
        return value

    def wrong(self, name: str, why: str) -> ShapeError:
        """What to raise for a field that is there and cannot be used."""
        return ShapeError(
            f"{self.model}: {self.file}: {self.within}{name} {why}",
            hint=f"have {self.file} fetched again, or correct {self.within}{name} in it",
        )


def shown(value: object) -> str:
    """A value of a file, for a message: short, and harmless to a terminal."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    text = ascii(value)
    return text if len(text) <= 40 else text[:39] + "…"
