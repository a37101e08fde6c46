"""Whole results of recorded machines, by root and not: documents that somebody has read and kept."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from scripts import preflight_cases
from scripts.preflight_cases import Case

CASES = preflight_cases.cases()
HOSTS = sorted({case.host for case in CASES})


@cache
def result(case: Case) -> dict[str, Any]:
    return preflight_cases.document(preflight_cases.judged(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_result_is_the_one_that_was_read(case: Case) -> None:
    said = "read it, and renew it by `python -m scripts.preflight_cases --write`"
    assert result(case) == json.loads(case.path.read_text(encoding="utf-8")), said


def test_every_document_has_a_machine() -> None:
    assert {path.name for path in preflight_cases.HOSTS.glob("*.findings.json")} == {
        case.path.name for case in CASES
    }
    assert len(CASES) == 16


@pytest.mark.parametrize("host", HOSTS)
def test_fewer_rights_never_change_a_verdict_but_to_unknown(host: str) -> None:
    """What is hidden must not read as fine, and never as broken."""
    root, plain = (
        {(one["id"], one["subject"]): one["status"] for one in result(Case(host, hidden))["findings"]}
        for hidden in (False, True)
    )
    changed = {what: (root.get(what), status) for what, status in plain.items() if root.get(what) != status}
    assert {what: now for what, (_, now) in changed.items() if now not in ("unknown", "not_applicable")} == {}


@pytest.mark.parametrize("host", HOSTS)
def test_what_only_root_may_read_is_hidden_and_never_absent(host: str) -> None:
    root, plain = (dict(_readings(result(Case(host, hidden))["audit"])) for hidden in (False, True))
    assert {where for where, one in plain.items() if one["state"] == "error"} <= {
        where for where, one in root.items() if one["state"] == "error"
    }
    lost = {where: one for where, one in plain.items() if where in root and root[where]["state"] == "read"}
    assert {where for where, one in lost.items() if one["state"] not in ("read", "hidden")} == set()
    for where, one in lost.items():
        if one["state"] == "read" and not where.startswith(("sight.capabilities", "slots.devices")):
            assert one["value"] == root[where]["value"], where


def _readings(plain: Any, where: str = "") -> Any:
    """Every reading of an audit by its dotted name; those of devices by their address."""
    if isinstance(plain, dict):
        if {"state", "value", "why"} <= set(plain):
            yield where, plain
            plain = plain["value"]
        for name, value in plain.items() if isinstance(plain, dict) else ():
            yield from _readings(value, f"{where}.{name}".strip("."))
    if isinstance(plain, list):
        for one in plain:
            if isinstance(one, dict) and "address" in one:
                yield from _readings(one, f"{where}.{one['address']}")


def test_a_document_that_differs_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preflight_cases.main(["sea-base"]) == 0
    monkeypatch.setattr(preflight_cases, "as_a_user", lambda root: None)
    assert preflight_cases.main(["sea-base.plain"]) == 1
    assert capsys.readouterr().out == "differs: sea-base.plain.findings.json\n"


def test_an_unknown_case_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        preflight_cases.main(["sea"])
    assert ended.value.code == 2
