"""The JSON document and the page of a plan."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from provisioner.errors import ExitCode, ProvisionError, UsageError
from provisioner.report.page import write_page, write_plan_page
from provisioner.report.picture import bars
from provisioner.report.plan import PlannedHost, exit_code, plan_json
from provisioner.report.plan_words import blocks
from provisioner.report.result import HostResult, RunResult, Status
from tests.unit.report import plans

UNREACHED = PlannedHost("gone", error=ProvisionError("gone cannot be reached", hint="start it"))


def test_the_document_of_a_plan() -> None:
    document = plan_json([plans.host()])
    assert json.loads(json.dumps(document)) == document
    assert list(document) == ["schema", "verb", "exit_code", "error", "hint", "hosts"]
    (host,) = document["hosts"]
    assert (host["name"], host["status"], host["exit_code"], host["error"]) == ("box", "possible", 0, None)
    plan = host["plan"]
    assert list(plan) == [
        "possible", "box", "model", "routes", "why_not", "memory", "facts", "notes"
    ]  # fmt: skip
    assert plan["box"]["gpus"] == [
        {"name": "Imaginary 8", "count": 1, "capability": "8.9", "memory_bytes": 8 * plans.GB}
    ]
    assert plan["model"] == {
        "profile": "imagined", "name": "Imagined-7B", "parameters": 7 * plans.GB, "architecture": "imagined",
        "weights_bytes": 14 * plans.GB, "context": 8192, "source": "this test", "confidence": "unconfirmed",
    }  # fmt: skip
    assert [(route["what"], route["action"]) for route in plan["routes"]] == [
        ("driver", "install"), ("toolkit", "none"), ("python", "keep"), ("environment", "install"),
    ]  # fmt: skip
    assert plan["facts"][1] == {
        "id": "needs", "text": "Imaginary 8 needs driver 999", "kind": "data", "source": "a data sheet",
        "confidence": "memory", "change": None,
    }  # fmt: skip
    memory = plan["memory"]
    assert (memory["best"], [one["name"] for one in memory["variants"]]) == (
        "nf4 through transformers",
        [
            "the weights as published through transformers",
            "nf4 through transformers",
            "Q4_K_M through llama.cpp",
        ],
    )
    assert (
        sum(part["nbytes"] for part in memory["chosen"]["parts"] if part["where"] == "vram") == 6 * plans.GB
    )
    assert memory["gigabytes"] == [{"vram_bytes": 16 * plans.GB, "buys": "the weights as published"}]


def test_the_document_of_what_is_impossible() -> None:
    (host,) = plan_json([plans.host(None, plans.CONFLICT)])["hosts"]
    assert (host["status"], host["exit_code"], host["plan"]["routes"]) == ("impossible", 4, [])
    (chain,) = host["plan"]["why_not"]["chains"]
    assert [fact["id"] for fact in chain] == ["gpu", "needs", "asked"]
    assert host["plan"]["memory"] is None


def test_a_model_that_is_too_large_is_told_with_its_memory() -> None:
    (host,) = plan_json([plans.host(plans.PUBLISHED, plans.TOO_LARGE)])["hosts"]
    assert (host["exit_code"], host["plan"]["possible"]) == (4, False)
    assert host["plan"]["why_not"]["chains"][0][0]["text"] == "8.0 GB of VRAM here"
    assert host["plan"]["memory"]["chosen"]["fits"] is False


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ([plans.host()], ExitCode.DONE),
        ([plans.host(), plans.host(None, plans.CONFLICT)], ExitCode.PLAN_IMPOSSIBLE),
        ([plans.host(None, plans.CONFLICT), UNREACHED], ExitCode.FAILED),
    ],
)
def test_the_worst_box_makes_the_exit_code(hosts: list[PlannedHost], code: ExitCode) -> None:
    assert exit_code(hosts) is code


def test_a_box_that_could_not_be_asked_is_told_without_logins() -> None:
    error = ProvisionError("http://me:secret@proxy answers 500", hint="try again")
    document = plan_json([PlannedHost("box", error=error)])
    assert document["hosts"] == [
        {
            "name": "box", "status": "failed", "exit_code": 1, "error": "http://***@proxy answers 500",
            "hint": "try again", "plan": None,
        }
    ]  # fmt: skip
    assert UsageError("x").code is ExitCode.USAGE


def test_the_picture_is_to_scale() -> None:
    outline = plans.host().outline
    assert outline is not None
    vram, ram = bars(outline)
    assert [(one.name, one.start, one.width) for one in vram.slices] == [
        ("weights", 0.0, 62.5), ("kv cache", 62.5, 12.5)
    ]  # fmt: skip
    assert (vram.limit, ram.limit) == (100.0, 100.0)
    too_large = plans.host(plans.PUBLISHED).outline
    assert too_large is not None
    # What does not fit goes beyond the line.
    assert bars(too_large)[0].limit == pytest.approx(100 * 8 / 15, abs=0.01)
    nothing = plans.host(None).outline
    assert nothing is not None
    assert bars(nothing) == []


def test_the_page_says_what_the_terminal_says_and_needs_nothing_else(tmp_path: Path) -> None:
    hosts = [plans.host(), plans.host(plans.PUBLISHED), plans.host(None, plans.CONFLICT), UNREACHED]
    write_plan_page(hosts, tmp_path / "plan.html")
    page = (tmp_path / "plan.html").read_text()
    told = re.sub(r"\s+", " ", page)
    for host in hosts:
        for block in blocks(host, why=True):
            for cell in (*block.lines, *(cell for row in block.rows for cell in row)):
                assert cell.replace("'", "&#39;") in told, cell
    assert page.count("<svg") == 4
    assert re.findall(r"<script|src=|href=|@import|url\(", page) == []
    assert "prefers-color-scheme" in page or "color-scheme: light dark" in page


def test_the_report_of_a_run_holds_the_plan_it_rests_on(tmp_path: Path) -> None:
    planned = plans.host()
    with_plan = HostResult("box", Status.DONE, facts=plans.FACTS, outline=planned.outline)
    write_page(RunResult("up", [with_plan, HostResult("other", Status.DONE)]), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<details>") == 1
    assert page.count("<svg") == 2
    for block in blocks(planned, why=True):
        for line in block.lines:
            assert line.replace("'", "&#39;") in page, line
