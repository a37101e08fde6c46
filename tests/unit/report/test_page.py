"""The page of a run: what was found on a machine before anything was changed stands in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.report.page import write_page
from provisioner.report.result import RunResult, Status
from tests.unit.engine.test_gate import BROKEN, Box, look


@pytest.mark.parametrize(("blocked", "opened"), [(True, True), (False, False)])
def test_a_run_tells_what_preflight_found(tmp_path: Path, blocked: bool, opened: bool) -> None:
    host = look(Box(BROKEN))
    found = host.preflight
    assert found is not None
    if not blocked:
        found = replace(found, findings=tuple(one for one in found.findings if not one.blocks))
        host = replace(host, status=Status.DONE, preflight=found)
    write_page(RunResult("up", [host]), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert ("<details open>\n  <summary>preflight</summary>" in page) is opened
    assert "judged as bare-metal" in page
    for one in found.findings:
        assert one.id in page
