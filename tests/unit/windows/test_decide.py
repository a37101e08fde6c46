"""How the table is read: operators, readings and texts, and what is read of recorded outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.windows.decide import facts_of, fill, holds, judge
from provisioner.windows.table import Condition, Reading, Table, table
from provisioner.yamlfile import load_yaml
from tests.unit.windows.emulated.box import Box, Distribution
from tests.unit.windows.emulated.walk import gathered

RECORDED: dict[str, list[dict[str, Any]]] = load_yaml(
    (Path(__file__).parents[2] / "data" / "windows" / "recorded.yml").read_text("utf-8")
)
FACTS = {"a": "Text", "number": "10", "version": "2.10.1", "limit.x": "9"}


@pytest.mark.parametrize(
    ("fact", "op", "value", "wanted"),
    [
        ("a", "is", "text", True),
        ("a", "is", "tex", False),
        ("a", "not", "TEXT", False),
        ("a", "not", "other", True),
        ("a", "there", "", True),
        ("a", "missing", "", False),
        ("a", "matches", "^T", True),
        ("a", "matches", "^t", False),
        ("a", "not_matches", "^t", True),
        ("a", "not_matches", "(?i)^t", False),
        ("number", "below", "{limit.x}", False),
        ("number", "below", "10", False),
        ("number", "below", "10.1", True),
        ("number", "at_least", "{limit.x}", True),
        ("number", "at_least", "11", False),
        ("version", "older", "2.9", False),
        ("version", "older", "2.11", True),
        ("version", "newer_or", "2.10.1", True),
        ("version", "newer_or", "2.10.2", False),
        # Of what is not there only what denies.
        ("gone", "is", "", False),
        ("gone", "not", "x", True),
        ("gone", "there", "", False),
        ("gone", "missing", "", True),
        ("gone", "below", "1", False),
        ("gone", "at_least", "0", False),
        ("gone", "older", "1.0", False),
        ("gone", "newer_or", "0.0", False),
        ("gone", "matches", ".*", False),
        ("gone", "not_matches", ".*", True),
    ],
)
def test_a_condition(fact: str, op: Any, value: str, wanted: bool) -> None:
    assert holds(Condition(fact, op, value), FACTS) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{a}, {number} and {gone}.", "Text, 10 and ."),
        ("{A}", "{A}"),
        ("{limit.x}", "9"),
        ("{b.{a}}", "of text"),
        ("{b.{gone}}", ""),
        ("'{40E0AC32-46A5}'", "'{40E0AC32-46A5}'"),
    ],
)
def test_a_text(text: str, wanted: str) -> None:
    assert fill(text, {**FACTS, "b.text": "of text"}) == wanted


@pytest.mark.parametrize(
    ("reading", "wanted"),
    [
        (Reading(name="r", of="a", match="(?i)^(t)(e)", gives="{2}{1}"), "eT"),
        (Reading(name="r", of="a", match="^(t)", gives="{1}"), None),
        (Reading(name="r", of="gone", match="(.*)", gives="{1}"), None),
        (Reading(name="r", of="a", match="^(x?)", gives="{1}"), None),
        (Reading(name="r", of="number", divide=4), "2"),
        (Reading(name="r", of="number", divide=3), "3"),
        (Reading(name="r", of="number", rows=((0, "few"), (10, "some"), (11, "many"))), "some"),
        (Reading(name="r", of="number", rows=((11, "many"),)), None),
        (Reading(name="r", first=("{gone}", "{number}", "{a}")), "10"),
        (Reading(name="r", first=("{gone}",)), None),
        (Reading(name="r", of="b.{a}", match="(.+)", gives="{1}"), "of text"),
    ],
)
def test_a_reading(reading: Reading, wanted: str | None) -> None:
    known = ("a", "number", "gone", "b.*")
    found = facts_of({**FACTS, "b.Text": "of text", "empty": ""}, Table(known, (), (reading,), ()))
    assert found.get("r") == wanted
    assert "empty" not in found


# ---- recorded outputs


@pytest.mark.parametrize("case", RECORDED["versions"], ids=lambda one: one["language"])
def test_the_version_of_wsl_in_any_language(case: dict[str, Any]) -> None:
    for text in (case["text"], case["text"].replace("\n", "\r\n")):
        assert facts_of({"wsl.version": text}, table()).get("wsl_version") == case["wsl"]


@pytest.mark.parametrize("case", RECORDED["drivers"], ids=lambda one: one["driver"])
def test_the_number_of_nvidias_driver(case: dict[str, Any]) -> None:
    assert facts_of({"gpu.driver": case["version"]}, table())["driver"] == case["driver"]


@pytest.mark.parametrize("case", RECORDED["registry"], ids=lambda one: one["name"])
def test_emulated_distribution_that_is_taken(case: dict[str, Any]) -> None:
    there = {one["name"]: Distribution(one["flags"], state=one.get("state", 1)) for one in case["entries"]}
    facts = facts_of(gathered(Box(distributions=there, default=case["default"]), {}), table())
    assert (facts["distribution"], facts.get("registered")) == (case["distribution"], case["registered"])


@pytest.mark.parametrize("case", RECORDED["windows"], ids=lambda one: f"{one['caption']} {one['build']}")
def test_emulated_windows_of_any_build(case: dict[str, Any]) -> None:
    asked = {"networking": "mirrored"}
    box = Box(case["caption"], case["build"], int(case["product"]), asked=asked)
    verdict = judge(gathered(box, {}), table())
    early = (
        f"mirrored networking needs Windows 11 22H2 (build 22621), and this is build {case['build']}",
        "leave -Networking away; what to do instead is printed at the end",
    )
    old = (case["stop"], "update Windows (Settings, Windows Update), then run this line again")
    wanted = [old] if case["stop"] else []
    assert [(one.say, one.next) for one in verdict.stops] == wanted + ([] if case["mirrored"] else [early])
    notes = [one.step.name for one in verdict.notes]
    assert ("server" in notes) is (case["product"] == "3")


@pytest.mark.parametrize(
    ("gib", "spare", "gets", "swap"),
    [(4, 0, "3GB", "8GB"), (8, 1, "5GB", "8GB"), (16, 1, "12GB", "8GB"), (32, 0, "26GB", "16GB"),
     (32, 2, "26GB", "16GB"), (32, 3, "18GB", "8GB"), (64, 0, "54GB", "16GB"), (512, 0, "232GB", "16GB")],
)  # fmt: skip
def test_how_much_memory_wsl_gets(gib: int, spare: int, gets: str, swap: str) -> None:
    """Windows does not count what the firmware and a built-in GPU keep."""
    total = (gib << 30) - (spare << 30)
    facts = facts_of({"machine.memory": str(total)}, table())
    assert (facts["memory_wanted"], facts["swap_wanted"]) == (gets, swap)


def test_wsl_never_gets_all_of_the_memory() -> None:
    for gib in range(4, 600):
        facts = facts_of({"machine.memory": str(gib << 30)}, table())
        assert int(facts["memory_wanted_gb"]) < gib
