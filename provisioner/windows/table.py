"""The decisions as they are written down, checked as they are read, and as the script carries them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

import msgspec

from provisioner.sourced import Sourced, read
from provisioner.yamlfile import load_yaml

Op = Literal[
    "is", "not", "below", "at_least", "older", "newer_or", "matches", "not_matches", "there", "missing"
]
OPS: tuple[Op, ...] = Op.__args__  # type: ignore[attr-defined]
BARE = ("there", "missing")
# A fact's name in a text, or the number of a group; a GUID is neither. {a.{b}}: a name made of a fact.
NAME = re.compile(r"\{([a-z][A-Za-z0-9_.-]*|\d)\}")
PART = re.compile(r"\.\{([a-z][A-Za-z0-9_.-]*)\}")
MADE = re.compile(r"\{([a-z][A-Za-z0-9_.*-]*|\d)\}")
MARKS = (
    "# >>> decisions: scripts/windows_script.py writes them, from provisioner/windows/data",
    "# <<< decisions",
)


class Limit(Sourced, frozen=True, kw_only=True):
    """Something that conditions compare with; a fact by the name limit.NAME."""

    name: str
    value: str
    means: str


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fact that is worked out of another one, in one of four ways; `of` may name facts in braces."""

    name: str
    of: str = ""
    match: str = ""
    gives: str = ""
    divide: int = 0
    rows: tuple[tuple[int, str], ...] = ()
    first: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ways = [bool(self.match), bool(self.divide), bool(self.rows), bool(self.first)]
        if ways.count(True) != 1 or bool(self.of) == bool(self.first) or bool(self.match) != bool(self.gives):
            raise ValueError(f"{self.name}: of with match and gives, divide or rows; or first alone")
        re.compile(self.match)


class Condition(msgspec.Struct, frozen=True):
    """FACT OP VALUE."""

    fact: str
    op: Op
    value: str = ""


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A step as it is written, its conditions still sentences."""

    name: str
    kind: Literal["stop", "note", "act", "end"]
    when: tuple[str, ...]
    say: str
    next: str = ""
    do: str = ""


class Step(msgspec.Struct, frozen=True):
    """What is said, or done, when all its conditions hold."""

    name: str
    kind: Literal["stop", "note", "act", "end"]
    when: tuple[Condition, ...]
    say: str
    next: str = ""
    do: str = ""


class Table(msgspec.Struct, frozen=True):
    """All of it, in its order. `gathered`: the names of what the script looks at; * stands for any text."""

    gathered: tuple[str, ...]
    limits: tuple[Limit, ...]
    readings: tuple[Reading, ...]
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        known = {*self.gathered, *(f"limit.{one.name}" for one in self.limits)}
        for reading in self.readings:
            _only(known, reading.name, {_made(reading.of)} - {""}, *_named(reading.of, *reading.first))
            groups = {str(number) for number in range(1, re.compile(reading.match).groups + 1)}
            _only(groups, reading.name, *_named(reading.gives))
            known.add(reading.name)
        for step in self.steps:
            texts = (step.say, step.next, *(one.value for one in step.when))
            _only(known, step.name, {one.fact for one in step.when}, *_named(*texts))
        for names in ([one.name for one in part] for part in (self.limits, self.readings, self.steps)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{', '.join(twice)}: there twice")


@cache
def table() -> Table:
    """The decisions. Raises ValueError, or msgspec's, for one that is not as it should be."""
    steps = tuple(step(one) for one in _load("steps", Written))
    limits = read("provisioner.windows", "limits", Limit)
    return Table(_load("gathered", str), limits, _load("readings", Reading), steps)


def _made(text: str) -> str:
    """A name that is made of facts, with * for each."""
    return PART.sub(".*", text)


def _named(*texts: str) -> Iterator[set[str]]:
    """The facts that texts name in braces."""
    for text in texts:
        yield set(PART.findall(text))
        yield set(MADE.findall(_made(text)))


def _only(known: set[str], where: str, *names: set[str]) -> None:
    unknown = sorted(set().union(*names) - known)
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)}: no fact that is known there")


def condition(text: str) -> Condition:
    """One condition of its sentence. Raises ValueError."""
    fact, _, rest = text.partition(" ")
    op, _, value = rest.partition(" ")
    for known in OPS:
        if op == known and bool(value) != (op in BARE):
            return Condition(fact, known, value)
    raise ValueError(f"no condition: {text} (FACT OP VALUE, with one of {', '.join(OPS)})")


def step(one: Written) -> Step:
    """A step of how it is written. Raises ValueError."""
    if (one.kind == "act") != bool(one.do) or (one.kind == "stop") != bool(one.next):
        raise ValueError(f"{one.name}: an act says what to do, a stop what is next, others neither")
    return Step(one.name, one.kind, tuple(map(condition, one.when)), one.say, one.next, one.do)


Kind = TypeVar("Kind")


def _load(name: str, kind: type[Kind]) -> tuple[Kind, ...]:
    text = files("provisioner.windows").joinpath("data", f"{name}.yml").read_text("utf-8")
    return msgspec.convert(load_yaml(text), tuple[kind, ...])  # type: ignore[valid-type]


def carried(found: Table) -> str:
    """The decisions as the script carries them: JSON, a line an entry, in ASCII, as PowerShell 5.1 wants."""
    parts = {
        "limits": [{"name": one.name, "value": one.value} for one in found.limits],
        "readings": [msgspec.to_builtins(one) for one in found.readings],
        "steps": [msgspec.to_builtins(one) for one in found.steps],
    }
    lines = (f'"{name}": [\n' + ",\n".join(map(_line, entries)) + "\n]" for name, entries in parts.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def _line(entry: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in entry.items() if value not in ("", 0, ())})


def written(script: str, found: Table) -> str:
    """The script with these decisions in it. Raises ValueError where it has no place for them."""
    begin, end = MARKS
    before, one, rest = script.partition(begin + "\n")
    _, other, after = rest.partition(end + "\n")
    if not (one and other):
        raise ValueError(f"the script has no lines “{begin}” and “{end}”")
    body = f"$Decisions = @'\n{carried(found)}\n'@ | ConvertFrom-Json\n"
    return before + one + body + other + after
