"""Reads the table as the script does: what is a fact, what holds, what comes next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provisioner.windows.table import NAME, PART, Condition, Reading, Step, Table


@dataclass(frozen=True)
class Said:
    """A step with its words filled in."""

    step: Step
    say: str
    next: str = ""


@dataclass(frozen=True)
class Verdict:
    """What holds of one look: where anything stops, nothing else counts; of the acts the first is done."""

    stops: tuple[Said, ...]
    notes: tuple[Said, ...]
    acts: tuple[Said, ...]
    ends: tuple[Said, ...]


def facts_of(gathered: Mapping[str, str], table: Table) -> dict[str, str]:
    """What was gathered, the limits, and what is worked out of them; nothing empty. PowerShell's tables know
    no letter case, so the names here are in lower case, and are looked up so.
    """
    facts = {name.lower(): value for name, value in gathered.items() if value}
    facts |= {f"limit.{one.name}": one.value for one in table.limits}
    for reading in table.readings:
        if (value := _read(reading, facts)) is not None:
            facts[reading.name] = value
    return facts


def judge(gathered: Mapping[str, str], table: Table) -> Verdict:
    """The steps that hold, in the table's order."""
    facts = facts_of(gathered, table)
    held = [one for one in table.steps if all(holds(condition, facts) for condition in one.when)]

    def of(kind: str) -> tuple[Said, ...]:
        return tuple(
            Said(one, fill(one.say, facts).strip(), fill(one.next, facts)) for one in held if one.kind == kind
        )

    return Verdict(of("stop"), of("note"), of("act"), of("end"))


def fill(text: str, facts: Mapping[str, str]) -> str:
    """A text with its facts; one that is not there is empty. A name may be made of a fact: {a.{b}}."""
    once = PART.sub(lambda found: "." + facts.get(found[1].lower(), ""), text)
    return NAME.sub(lambda found: facts.get(found[1].lower(), ""), once)


def holds(condition: Condition, facts: Mapping[str, str]) -> bool:
    """Whether a condition does; of what is not there only what denies."""
    value, other = facts.get(condition.fact), fill(condition.value, facts)
    match condition.op:
        case "there":
            return value is not None
        case "missing":
            return value is None
        case "not":
            return value is None or value.lower() != other.lower()
        case "not_matches":
            return value is None or not re.search(other, value)
    if value is None:
        return False
    match condition.op:
        case "is":
            return value.lower() == other.lower()
        case "below":
            return float(value) < float(other)
        case "at_least":
            return float(value) >= float(other)
        case "older":
            return _version(value) < _version(other)
        case "newer_or":
            return _version(value) >= _version(other)
        case "matches":
            return bool(re.search(other, value))


def _name(text: str, facts: Mapping[str, str]) -> str:
    return fill(text, facts).lower()


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _read(reading: Reading, facts: Mapping[str, str]) -> str | None:
    if reading.first:
        return next(_filled(reading.first, facts), None)
    value = facts.get(_name(reading.of, facts))
    if value is None:
        return None
    if reading.divide:
        return str(round(float(value) / reading.divide))
    if reading.rows:
        below = [text for floor, text in reading.rows if floor <= float(value)]
        return below[-1] if below else None
    found = re.search(reading.match, value)
    if found is None:
        return None
    groups = {str(at): group or "" for at, group in enumerate(found.groups(), 1)}
    return fill(reading.gives, groups) or None


def _filled(texts: tuple[str, ...], facts: Mapping[str, str]) -> Iterator[str]:
    yield from (found for text in texts if (found := fill(text, facts)))
