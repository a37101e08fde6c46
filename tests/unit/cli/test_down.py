"""`provision down` over fake machines: it asks, it does, it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioner.cli import options
from provisioner.engine import down
from tests.unit.cli.test_main import ended
from tests.unit.engine.test_down import ALL, Box


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    box = Box(ALL)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(options, "transports", lambda _: [box])
    return box


def test_without_a_terminal_it_wants_a_yes(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["down"], monkeypatch) == 2
    assert "there is no terminal to ask on" in capsys.readouterr().err
    assert box.asked == []


def test_check_says_what_would_go(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["down", "--check"], monkeypatch) == 5
    said = capsys.readouterr().out
    assert "  what will be taken off:\n    smoke_test\n      remove smoke_test (10 bytes)" in said
    assert said.splitlines()[-1] == f"box  would take off {', '.join(ALL)}; nothing was touched"
    assert box.asked == []


def test_yes_takes_it_off_and_keeps_a_journal(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["down", "--yes", "--json"], monkeypatch) == 0
    document = json.loads(capsys.readouterr().out)
    assert [host["status"] for host in document["hosts"]] == ["taken off"]
    (folder,) = (tmp_path / "provision" / "runs").iterdir()
    assert json.loads((folder / "journal.json").read_text())["result"] == document
    assert "taken off" in (folder / "report.html").read_text()
    assert ended(["down", "--yes"], monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "box  nothing to take off"


@pytest.mark.parametrize(("answer", "code", "asked"), [("n\n", 5, 0), ("\n", 5, 0), ("y\n", 0, 1)])
def test_on_a_terminal_it_asks(
    box: Box, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, asked: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: answer.startswith("y"))
    assert ended(["down"], monkeypatch) == code
    assert len(box.asked) == asked


def test_a_mistyped_role_is_said_before_any_machine_is_asked(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["down", "--role", "host_bas", "--yes"], monkeypatch) == 2
    assert "did you mean host_base" in capsys.readouterr().err


def test_an_interrupt_is_told(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(down, "take_off", interrupted)
    assert ended(["down", "--yes", "--json"], monkeypatch) == 130
    assert json.loads(capsys.readouterr().out)["error"] == "interrupted"
