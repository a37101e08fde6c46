"""The table as the script reads it, in a stand-in for PowerShell, and as Python does: they find the same."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.windows.decide import facts_of, fill, holds, judge
from provisioner.windows.table import MARKS, Condition, table
from tests.powershell import Shell, errors
from tests.powershell.portable import findings
from tests.powershell.shell import EDITIONS
from tests.powershell.values import Table
from tests.unit.windows.emulated.box import Box
from tests.unit.windows.emulated.doors import SOURCE
from tests.unit.windows.emulated.walk import gathered
from tests.unit.windows.test_emulated_walks import boxes


def test_the_grammar_of_powershell_knows_all_of_it() -> None:
    assert errors(SOURCE) == []


def test_nothing_in_it_is_newer_than_powershell_5_1() -> None:
    assert findings(SOURCE, programs={"wsl.exe"}) == []


def test_the_table_in_the_script_is_read_as_json() -> None:
    body = SOURCE.partition("$Decisions = @'\n")[2].partition("\n'@ | ConvertFrom-Json")[0]
    assert set(json.loads(body)) == {"limits", "readings", "steps"}


# ---- the two readers


@functools.cache
def reader(edition: str = "5.1") -> Shell:
    """The script's functions, with the table they read, and nothing else run."""
    shell = Shell(edition=edition)
    begin, _, rest = SOURCE.partition(MARKS[0])[2].partition(MARKS[1])
    shell.load(begin, constants=True)
    shell.load(rest)
    return shell


def said_by(shell: Shell, found: dict[str, str]) -> dict[str, object]:
    """The script's facts of what was gathered, and its steps by kind."""
    facts = shell.call("Get-Fact", Gathered=Table(found))
    assert isinstance(facts, dict)
    steps: dict[str, object] = {}
    for kind in ("stop", "note", "act", "end"):
        held = shell.call("Select-Step", Kind=kind, Facts=Table(facts))
        listed: list[Any] = held if isinstance(held, list) else [held] if held else []
        steps[kind] = [(one["name"], one["act"] or "", one["say"], one["next"]) for one in listed]
    return {"facts": {str(name).lower(): value for name, value in facts.items()}, **steps}


def said_in_python(found: dict[str, str]) -> dict[str, object]:
    verdict = judge(found, table())
    kinds = {"stop": verdict.stops, "note": verdict.notes, "act": verdict.acts, "end": verdict.ends}
    steps = {
        kind: [(one.step.name, one.step.do, one.say, one.next) for one in held]
        for kind, held in kinds.items()
    }
    return {"facts": facts_of(found, table()), **steps}


# What is known once something was done.
DID = st.sets(st.sampled_from(["prepared", "given", "started", "ran"]))


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(EDITIONS), boxes(), DID)
def test_emulated_script_reads_any_computer_as_python_does(edition: str, box: Box, did: set[str]) -> None:
    found = gathered(box, dict.fromkeys(did, "True"))
    assert said_by(reader(edition), found) == said_in_python(found)


CONDITIONS = [
    Condition("a", op, value)  # type: ignore[arg-type]
    for op, values in {
        "is": ["x", "X", "y"], "not": ["x", "X", "y"], "there": [""], "missing": [""],
        "matches": ["^x$", "X", "(?i)X"], "not_matches": ["^x$", "X"],
    }.items()
    for value in values
] + [
    Condition(name, op, value)
    for name in ("number", "version", "gone")
    for op in (("below", "at_least") if name != "version" else ("older", "newer_or"))
    for value in (("9", "10", "10.5", "11") if name != "version" else ("9.2", "10.2", "10.2.1", "10.10"))
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: f"{one.fact}-{one.op}-{one.value}")
def test_emulated_conditions_hold_alike(condition: Condition) -> None:
    facts = {"a": "x", "number": "10", "version": "10.2"}
    asked = {"fact": condition.fact, "op": condition.op, "value": condition.value}
    assert reader().call("Test-Condition", Condition=asked, Facts=Table(facts)) is holds(condition, facts)
    without = {"other": "x"}
    assert reader().call("Test-Condition", Condition=asked, Facts=Table(without)) is holds(condition, without)


@pytest.mark.parametrize(
    "text",
    ["", "plain", "{a}", "{A}", "{a.{b}}", "x {gone} y", "{gone.{a}}", "'{40E0AC32-46A5}'", r"\d{2} $1 $&"],
)
def test_emulated_texts_are_filled_alike(text: str) -> None:
    facts = {"a": "$1", "b": "c", "a.c": "found"}
    assert reader().call("Expand-Text", Text=text, Facts=Table(facts)) == fill(text, facts)
