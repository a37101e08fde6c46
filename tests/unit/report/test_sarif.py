"""The SARIF document: every object has the properties that it must, and no others, and of the right type.

The standard's schema allows no others (additionalProperties: false), so a mistyped one makes a document
invalid. What stands here is the part of it that we write: SARIF 2.1.0, sections 3.13 to 3.58.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from provisioner.preflight import pages
from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import RULES
from provisioner.report.sarif import sarif
from tests.unit.report.preflights import BLANK, RICH, gone, host

TEXT, NUMBER, BOOLEAN, BAG = str, int, bool, dict
LEVELS = ("none", "note", "warning", "error")
KINDS = ("notApplicable", "pass", "fail", "review", "open", "informational")

# object -> property -> (type, an object's name, [one], or the words allowed; whether it must be there)
SHAPES: dict[str, dict[str, tuple[Any, bool]]] = {
    "log": {"$schema": (TEXT, False), "version": (("2.1.0",), True), "runs": (["run"], True)},
    "run": {
        "tool": ("tool", True), "automationDetails": ("details", False),
        "invocations": (["invocation"], False),
        "columnKind": (("utf16CodeUnits", "unicodeCodePoints"), False),
        "results": (["result"], False), "properties": (BAG, False),
    },
    "tool": {"driver": ("component", True)},
    "component": {"name": (TEXT, True), "semanticVersion": (TEXT, False), "rules": (["rule"], False)},
    "rule": {
        "id": (TEXT, True), "name": (TEXT, False), "shortDescription": ("message", False),
        "fullDescription": ("message", False), "help": ("message", False),
        "defaultConfiguration": ("configuration", False), "properties": (BAG, False),
    },
    "message": {"text": (TEXT, True), "markdown": (TEXT, False)},
    "configuration": {"level": (LEVELS, False)},
    "details": {"id": (TEXT, False)},
    "invocation": {
        "executionSuccessful": (BOOLEAN, True), "exitCode": (NUMBER, False), "machine": (TEXT, False),
        "toolExecutionNotifications": (["notification"], False),
    },
    "notification": {"level": (LEVELS, False), "message": ("message", True)},
    "result": {
        "ruleId": (TEXT, False), "ruleIndex": (NUMBER, False), "kind": (KINDS, False),
        "level": (LEVELS, False), "message": ("message", True), "locations": (["location"], False),
        "partialFingerprints": (BAG, False), "properties": (BAG, False),
    },
    "location": {"logicalLocations": (["logical"], False), "physicalLocation": ("physical", False)},
    "logical": {"name": (TEXT, False), "fullyQualifiedName": (TEXT, False), "kind": (TEXT, False)},
    "physical": {"artifactLocation": ("artifact", True), "region": ("region", False)},
    "artifact": {"uri": (TEXT, False)},
    "region": {"byteOffset": (NUMBER, True), "byteLength": (NUMBER, False)},
}  # fmt: skip


def wrong(value: Any, shape: Any, where: str = "log") -> Iterator[str]:
    """What in a document is not as the standard says."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where}: no list"
            return
        for number, item in enumerate(value):
            yield from wrong(item, shape[0], f"{where}[{number}]")
    elif isinstance(shape, tuple):
        if value not in shape:
            yield f"{where}: {value!r}"
    elif isinstance(shape, type):
        if type(value) is not shape:
            yield f"{where}: {type(value).__name__}"
    elif not isinstance(value, dict):
        yield f"{where}: no object"
    else:
        known = SHAPES[shape]
        yield from (f"{where}.{name} is not known" for name in value if name not in known)
        yield from (
            f"{where}.{name} is missing" for name, (_, must) in known.items() if must and name not in value
        )
        for name in value.keys() & known.keys():
            yield from wrong(value[name], known[name][0], f"{where}.{name}")


@pytest.fixture(scope="module")
def log() -> dict[str, Any]:
    """A machine with every kind of finding, one that could not be looked at, and all rules there are."""
    document: dict[str, Any] = json.loads(json.dumps(sarif([host("box", *RICH), gone()])))
    return document


def test_every_object_is_as_the_standard_says(log: dict[str, Any]) -> None:
    assert list(wrong(log, "log")) == []


def test_what_is_not_would_be_seen(log: dict[str, Any]) -> None:
    bad = deepcopy(log)
    result = bad["runs"][0]["results"][0]
    result["sevirity"] = "high"
    result["level"] = "fatal"
    del result["message"]["text"]
    bad["runs"][1]["invocations"] = {}
    assert sorted(wrong(bad, "log")) == [
        "log.runs[0].results[0].level: 'fatal'",
        "log.runs[0].results[0].message.text is missing",
        "log.runs[0].results[0].sevirity is not known",
        "log.runs[1].invocations: no list",
    ]


def test_only_what_failed_has_a_level(log: dict[str, Any]) -> None:
    """3.27.10: the level of a result of any other kind is "none"."""
    said = {(one["kind"], one["level"]) for one in log["runs"][0]["results"]}
    assert said == {
        ("fail", "error"), ("fail", "warning"), ("open", "none"), ("informational", "none"), ("pass", "none"),
    }  # fmt: skip


def test_a_result_names_its_rule_by_number_too(log: dict[str, Any]) -> None:
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    numbered = [one for one in run["results"] if "ruleIndex" in one]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in numbered)
    assert len(numbered) == sum(one.id in {rule.id for rule in RULES} for one in RICH)


def test_a_file_is_named_as_an_address(log: dict[str, Any]) -> None:
    first = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    parts = urlsplit(first["artifactLocation"]["uri"])
    assert (parts.scheme, unquote(parts.path)) == ("file", "/sys/bus/pci/devices/0000:01:00.0/config")


def test_a_rule_carries_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages.parse(
        "boot.mode", "# Boot mode\n\n## What it means\n\nIt\nmeans.\n\n## Why it matters\n\nSo.\n"
    )
    monkeypatch.setattr(pages, "page", lambda _: page)
    document = sarif([host("box", BLANK)], [Rule("boot.mode", "boot", lambda _: [], weight="fail")])
    assert document["runs"][0]["tool"]["driver"]["rules"] == [
        {
            "id": "boot.mode",
            "name": "Boot mode",
            "shortDescription": {"text": "Boot mode"},
            "fullDescription": {"text": "It\nmeans."},
            "help": {
                "text": "What it means\nIt\nmeans.\n\nWhy it matters\nSo.",
                "markdown": "## What it means\n\nIt\nmeans.\n\n## Why it matters\n\nSo.",
            },
            "defaultConfiguration": {"level": "error"},
            "properties": {"category": "boot"},
        }
    ]
