"""What the command line parses to, and what it says without a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm import cli, host
from tests.vm.states import STATES

# A machine whose process is not there any more: 2^22 is beyond the kernel's largest process id.
ENDED = '{"name": "box", "state": "smt", "port": 30001, "home": "HOME", "pid": 4194305, "ssh_config": "x"}\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path))
    return tmp_path / "vms" / "box"


@pytest.fixture
def ended(home: Path) -> Path:
    home.mkdir(parents=True)
    (home / "machine.json").write_text(ENDED.replace("HOME", str(home)))
    return home


def test_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["states"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == [state.name for state in STATES]


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [([], 0, "virtual machines can run here\n"), (["no root", "no disk"], 1, "no root\nno disk\n")],
)
def test_doctor(
    found: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(host, "obstacles", lambda: found)
    assert (cli.main(["doctor"]), capsys.readouterr().out) == (code, said)


def test_a_machine_that_ended_is_listed_and_taken_away(
    ended: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["list"]) == 0
    assert cli.main(["down", "box"]) == 0
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out == "box\tsmt\t127.0.0.1:30001\tended: down it\nended box\n"
    assert not ended.exists()


def test_a_start_that_was_cut_short_is_taken_away_too(home: Path) -> None:
    home.mkdir(parents=True)
    assert cli.main(["down", "--all"]) == 0
    assert not home.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("down", "vm: name the machines to end, or say --all\nnot both\n"),
        ("down --all box", "vm: name the machines to end, or say --all\nnot both\n"),
        ("down box", "vm: no virtual machine named box\npython -m tests.vm list\n"),
        ("down ..", "vm: no virtual machine named ..\npython -m tests.vm list\n"),
        ("up smt --name A/b", "vm: not a host name: A/b\nlower-case letters, digits and hyphens\n"),
    ],
)
def test_what_cannot_be_done_is_one_message(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (cli.main(line.split()), capsys.readouterr().err) == (1, said)


def test_a_name_in_use_is_said(
    ended: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "require", lambda: None)
    monkeypatch.setattr("tests.vm.image.ensure", lambda: None)
    assert cli.main(["up", "smt", "--name", "box"]) == 1
    assert capsys.readouterr().err == (
        "vm: there is a virtual machine named box\npython -m tests.vm down box\n"
    )
    assert ended.exists()
