"""The table of boxes and models: the whole document of each, as somebody has read and kept it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from provisioner.facts import Facts
from scripts import plan_cases
from scripts.plan_cases import Case


@pytest.mark.parametrize("case", plan_cases.cases(), ids=lambda case: case.name)
def test_the_plan_is_the_one_that_was_read(case: Case) -> None:
    assert plan_cases.answer(case).document == json.loads(case.path.read_text(encoding="utf-8"))


def test_every_document_has_a_case_and_the_table_is_long_enough() -> None:
    named = {case.name for case in plan_cases.cases()}
    assert named == {path.stem for path in plan_cases.FOLDER.glob("*.json")}
    assert len(named) == len(plan_cases.cases()) >= 40


def test_a_document_that_differs_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(one for one in plan_cases.cases() if one.name == "no-gpu")
    monkeypatch.setattr(plan_cases, "cases", lambda: (case,))
    assert plan_cases.main([]) == 0
    real = plan_cases.facts_of

    def smaller(one: Case) -> Facts:
        facts = real(one)
        return replace(facts, memory=replace(facts.memory, total_bytes=4_000_000_000))

    monkeypatch.setattr(plan_cases, "facts_of", smaller)
    assert plan_cases.main([]) == 1
    assert capsys.readouterr().out == "differs: no-gpu.json\n"


def test_an_unknown_case_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        plan_cases.main(["no-gpus"])
    assert ended.value.code == 2
