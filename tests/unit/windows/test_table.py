"""The decisions as data: each rule of a table is broken here once, and the script carries this table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from provisioner.windows import table as tables
from provisioner.windows.table import (
    MARKS,
    OPS,
    Condition,
    Limit,
    Reading,
    Step,
    Table,
    Written,
    carried,
    condition,
    step,
    table,
    written,
)
from scripts import windows_script

SCRIPT = windows_script.SCRIPT.read_text("utf-8")
LOOK = windows_script.SCRIPT.with_name("wsl2") / "look.sh"


@dataclass(frozen=True)
class Broken:
    """Something that is no table, and what is said of it."""

    name: str
    said: str
    entry: Mapping[str, Any] = field(default_factory=dict)


def cases(*found: Broken) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(one, id=one.name) for one in found])


# ---- conditions

OPERATORS = "is, not, below, at_least, older, newer_or, matches, not_matches, there, missing"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.b is c", Condition("a.b", "is", "c")),
        ("a.b not c d", Condition("a.b", "not", "c d")),
        ("a there", Condition("a", "there")),
        (r"a not_matches (?i)^ x$", Condition("a", "not_matches", "(?i)^ x$")),
    ],
)
def test_a_condition_of_its_sentence(text: str, wanted: Condition) -> None:
    assert condition(text) == wanted


@pytest.mark.parametrize("text", ["a", "a equals b", "a is", "a there b", "a missing now", "", "is is"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"no condition: {text} (FACT OP VALUE, with one of {OPERATORS})")
    ):
        condition(text)


def test_every_operator_is_used() -> None:
    assert {one.op for entry in table().steps for one in entry.when} == set(OPS)


# ---- steps

RIGHT = {"name": "s", "kind": "note", "when": [], "say": "so"}
SHAPE = "s: an act says what to do, a stop what is next, others neither"


@cases(
    Broken("act-without-do", SHAPE, {"kind": "act"}),
    Broken("act-with-next", SHAPE, {"kind": "act", "do": "run", "next": "wait"}),
    Broken("stop-without-next", SHAPE, {"kind": "stop"}),
    Broken("stop-with-do", SHAPE, {"kind": "stop", "next": "wait", "do": "run"}),
    Broken("note-with-do", SHAPE, {"do": "run"}),
    Broken("end-with-next", SHAPE, {"kind": "end", "next": "wait"}),
    Broken("bad-condition", "no condition: a near b", {"when": ["a near b"]}),
    Broken("bad-kind", "Invalid enum value 'warning'", {"kind": "warning"}),
    Broken("unknown-field", "Object contains unknown field `unless`", {"unless": []}),
    Broken("wordless", "Object missing required field `say`", {"say": None}),
)
def test_what_is_no_step(case: Broken) -> None:
    entry = {name: value for name, value in {**RIGHT, **case.entry}.items() if value is not None}
    with pytest.raises((ValueError, msgspec.ValidationError), match=re.escape(case.said)):
        step(msgspec.convert(entry, Written))
    assert step(msgspec.convert(RIGHT, Written)) == Step("s", "note", (), "so")


# ---- readings

READING = {"name": "r", "of": "a", "match": "(x)", "gives": "{1}"}
WAYS = "r: of with match and gives, divide or rows; or first alone"


@cases(
    Broken("no-way", WAYS, {"match": None, "gives": None}),
    Broken("two-ways", WAYS, {"divide": 2}),
    Broken("rows-and-divide", WAYS, {"match": None, "gives": None, "divide": 2, "rows": [[0, "x"]]}),
    Broken("first-and-of", WAYS, {"match": None, "gives": None, "first": ["{a}"]}),
    Broken("first-and-match", WAYS, {"of": None, "first": ["{a}"]}),
    Broken("of-nothing", WAYS, {"of": None}),
    Broken("match-gives-nothing", WAYS, {"gives": None}),
    Broken("gives-without-match", WAYS, {"match": None, "divide": 2}),
    Broken("unknown-field", "Object contains unknown field `times`", {"times": 2}),
    Broken("row-of-text", "Expected `int`, got `str`", {"match": None, "gives": None, "rows": [["0", "x"]]}),
)
def test_what_is_no_reading(case: Broken) -> None:
    entry = {name: value for name, value in {**READING, **case.entry}.items() if value is not None}
    with pytest.raises(msgspec.ValidationError, match=re.escape(case.said)):
        msgspec.convert(entry, Reading)
    assert msgspec.convert(READING, Reading).match == "(x)"


def test_a_reading_of_no_regular_expression() -> None:
    with pytest.raises(re.error):
        Reading(name="r", of="a", match="(", gives="{1}")


# ---- the whole: a fact that nobody gathers is never true, so it is refused

UNKNOWN = "no fact that is known there"
TWICE = "there twice"


def whole(
    *steps: Mapping[str, Any], readings: tuple[Mapping[str, Any], ...] = (), limits: tuple[str, ...] = ("l",)
) -> Table:
    """A small table in which `a`, `b`, part.*.of and limit.l are known."""
    named = tuple(Limit(name=one, value="1", means="", source="", confidence="memory") for one in limits)
    return Table(
        ("a", "b", "part.*.of"),
        named,
        msgspec.convert(list(readings), tuple[Reading, ...]),
        tuple(step(msgspec.convert({**RIGHT, **one}, Written)) for one in steps),
    )


def test_a_table_that_names_what_is_there() -> None:
    found = whole(
        {"when": ["a there", "r is {limit.l}"], "say": "{part.{b}.of} {r} {40E0AC32-46A5}"},
        readings=(READING, {"name": "q", "first": ["{r}", "{part.{r}.of}"]}),
    )
    assert [one.name for one in found.readings] == ["r", "q"]


@pytest.mark.parametrize(
    ("steps", "readings", "said"),
    [
        ([{"when": ["c there"]}], [], f"s: c: {UNKNOWN}"),
        ([{"when": ["a is {c}"]}], [], f"s: c: {UNKNOWN}"),
        ([{"say": "{c} and {limit.m}"}], [], f"s: c, limit.m: {UNKNOWN}"),
        ([{"kind": "stop", "next": "{c}"}], [], f"s: c: {UNKNOWN}"),
        ([{"say": "{other.{a}.of}"}], [], f"s: other.*.of: {UNKNOWN}"),
        ([{"say": "{part.{c}.of}"}], [], f"s: c: {UNKNOWN}"),
        ([{"say": "{1}"}], [], f"s: 1: {UNKNOWN}"),
        ([], [{**READING, "of": "c"}], f"r: c: {UNKNOWN}"),
        ([], [{**READING, "of": "other.{a}"}], f"r: other.*: {UNKNOWN}"),
        ([], [{**READING, "gives": "{2}"}], f"r: 2: {UNKNOWN}"),
        ([], [{"name": "r", "first": ["{a}", "{r}"]}], f"r: r: {UNKNOWN}"),
        ([], [{"name": "r", "first": ["{q}"]}, {"name": "q", "first": ["{a}"]}], f"r: q: {UNKNOWN}"),
        ([{}, {}], [], f"s: {TWICE}"),
        ([], [READING, READING], f"r: {TWICE}"),
    ],
)
def test_a_table_that_names_what_is_not_there(
    steps: list[Mapping[str, Any]], readings: list[Mapping[str, Any]], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        whole(*steps, readings=tuple(readings))


def test_a_limit_is_there_once() -> None:
    with pytest.raises(ValueError, match=f"l: {TWICE}"):
        whole(limits=("l", "l"))


def test_every_limit_and_reading_is_used() -> None:
    found = table()
    texts = [text for one in found.steps for text in (one.say, one.next, *(w.value for w in one.when))]
    texts += [text for one in found.readings for text in (one.of, *one.first)]
    named = {name for text in texts for name in (*tables.PART.findall(text), *tables.NAME.findall(text))}
    named |= {w.fact for one in found.steps for w in one.when} | {one.of for one in found.readings}
    # The seconds of the clock are prepare.sh's; it has no table.
    assert {f"limit.{one.name}" for one in found.limits} - named == {"limit.clock_s"}
    assert {one.name for one in found.readings} - named == set()


# ---- what the script gathers, and what it carries


def gathered_by_script() -> set[str]:
    """The facts that the script's own lines write, with * for what is only known on a computer."""
    code = SCRIPT.partition(MARKS[1])[2]
    names = set(re.findall(r"\$found\['([a-z._]+)'\] =", code, re.IGNORECASE))
    names |= {
        re.sub(r"\$\(.*\)|\$\w+", "*", name)
        for name in re.findall(r'\$found\["([^"]+)"\] =', code, re.IGNORECASE)
    }
    # What is done is looked at like everything else; `left` is the exit code.
    return names | set(re.findall(r"\$Did\['([a-z]+)'\] =", code)) - {"left"}


def test_the_script_gathers_exactly_what_is_declared() -> None:
    said = {f"inside.{name}" for name in re.findall(r"\bsay ([a-z]+) ", LOOK.read_text("utf-8"))}
    assert gathered_by_script() - {"inside.*"} | said == set(table().gathered)


def test_every_fact_of_look_is_of_letters_as_the_script_reads_them() -> None:
    assert {name for name in table().gathered if not re.fullmatch(r"[a-z._*]+", name)} == set()


def test_the_acts_of_the_table_are_those_of_the_script() -> None:
    known = set(re.findall(r"^        '([^']+)' \{", SCRIPT, re.MULTILINE))
    assert {one.do for one in table().steps if one.kind == "act"} == known


def test_the_clock_is_off_by_as_much_in_the_table_and_in_prepare() -> None:
    limit = next(one.value for one in table().limits if one.name == "clock_s")
    prepare = LOOK.with_name("prepare.sh").read_text("utf-8")
    assert re.findall(r'"\$\{skew#-\}" -gt (\d+)', prepare) == [limit]


def test_the_script_carries_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert windows_script.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_a_script_that_carries_another_table_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "bootstrap-wsl2.ps1"
    other.write_text(SCRIPT.replace('"528.33"', '"1.0"'), "utf-8")
    monkeypatch.setattr(windows_script, "SCRIPT", other)
    assert windows_script.main(["--check"]) == 1
    assert windows_script.main([]) == 0
    assert windows_script.main(["--check"]) == 0
    assert capsys.readouterr().out == (
        "bootstrap-wsl2.ps1 does not carry provisioner/windows/data: python -m scripts.windows_script\n"
        "wrote bootstrap-wsl2.ps1\n"
    )
    assert other.read_text("utf-8") == SCRIPT


@pytest.mark.parametrize("mark", MARKS)
def test_a_script_without_a_place_for_them(mark: str) -> None:
    with pytest.raises(ValueError, match="the script has no lines"):
        written(SCRIPT.replace(mark, "#"), table())


def test_what_is_carried_is_ascii_and_comes_back_the_same() -> None:
    """PowerShell 5.1 reads a script without a byte order mark in the computer's own encoding."""
    text = carried(table())
    assert text.isascii()
    back = json.loads(text)
    assert back["limits"] == [{"name": one.name, "value": one.value} for one in table().limits]
    assert msgspec.convert(back["readings"], tuple[Reading, ...]) == table().readings
    # What is empty is left out; PowerShell's foreach goes through nothing there, as through an empty list.
    steps = [{"when": [], **one} for one in back["steps"]]
    assert msgspec.convert(steps, tuple[Step, ...]) == table().steps


def test_no_line_ends_the_here_string() -> None:
    body = SCRIPT.partition("$Decisions = @'\n")[2].partition("\n'@ | ConvertFrom-Json\n" + MARKS[1])[0]
    assert body == carried(table())
    assert [line for line in body.splitlines() if line.startswith("'@")] == []


def test_script_and_what_it_sends_are_ascii() -> None:
    """PowerShell 5.1 sends a program's input in ASCII, and reads scripts as above."""
    texts = [windows_script.SCRIPT, *LOOK.parent.iterdir()]
    assert {
        path.name: line
        for path in texts
        for line in path.read_text("utf-8").split("\n")
        if not line.isascii()
    } == {}


def test_what_is_sent_reads_wsl_conf_in_one_way() -> None:
    """Each is sent alone, so each carries the reader."""
    texts = [(LOOK.parent / name).read_text("utf-8") for name in ("look.sh", "prepare.sh")]
    readers = [text.partition("\nsetting() {\n")[2].partition("\n}\n")[0] for text in texts]
    assert readers[0] == readers[1] != ""
