"""What the command line parses to, and what it says without a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import cli, host
from tests.lab.machine import Machine
from tests.lab.users import User

PEOPLE = "--user a:no-sudo --user b"
LIMITS = "--disk 300m --memory 2g --cache --wheels"
KINDS = "NAME:sudo-nopasswd|sudo-password|no-sudo"
UP: dict[str, object] = {
    "command": "up",
    "name": "box",
    "release": "trixie",
    "without": [],
    "users": [],
    "disk": None,
    "memory": None,
    "cache": False,
    "wheels": False,
    "json": False,
}


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("doctor", {"command": "doctor"}),
        ("prepare", {"command": "prepare", "rebuild": False}),
        ("up box", UP),
        (
            f"up box --release bookworm --without python3 --without sudo {PEOPLE} {LIMITS} --json",
            UP
            | {
                "release": "bookworm",
                "without": ["python3", "sudo"],
                "users": ["a:no-sudo", "b"],
                "disk": "300m",
                "memory": "2g",
                "cache": True,
                "wheels": True,
                "json": True,
            },
        ),
        ("ssh-config a b", {"command": "ssh-config", "names": ["a", "b"], "output": None}),
        ("ssh-config --output f", {"command": "ssh-config", "names": [], "output": Path("f")}),
        ("restart box --hard", {"command": "restart", "name": "box", "hard": True}),
        ("down a b", {"command": "down", "names": ["a", "b"], "all": False}),
        ("down --all", {"command": "down", "names": [], "all": True}),
        ("list", {"command": "list"}),
        ("shell box --user ci", {"command": "shell", "name": "box", "user": "ci"}),
    ],
)
def test_parser(line: str, options: dict[str, object]) -> None:
    assert vars(cli.parser().parse_args(line.split())) == options


@pytest.mark.parametrize("line", ["", "up", "up box --release noble", "up box --without systemd", "restart"])
def test_usage_errors(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(line.split())
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("obstacles", "status", "output"),
    [
        ([], 0, "the lab can run here\n"),
        (["no Docker", "no root"], 1, "no Docker\nno root\n"),
    ],
)
def test_doctor(
    obstacles: list[str],
    status: int,
    output: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(host, "obstacles", lambda: obstacles)
    assert cli.main(["doctor"]) == status
    assert capsys.readouterr().out == output


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("up Box", "lab: not a host name: Box\nlower-case letters, digits and hyphens\n"),
        (
            "up box --user x:admin",
            f"lab: no such kind of user: x:admin\n{KINDS}, NAME in lower case and not root\n",
        ),
        (
            "up box --user ci --without sudo",
            "lab: box would have users with sudo but no sudo\nmake them NAME:no-sudo\n",
        ),
        ("shell box", "lab: no machine named box\nthere are: none\n"),
        ("down", "lab: name the machines to destroy, or say --all\nnot both\n"),
        ("down box --all", "lab: name the machines to destroy, or say --all\nnot both\n"),
    ],
)
def test_bad_input_is_one_complaint(
    line: str,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path))
    assert cli.main(line.split()) == 1
    assert capsys.readouterr().err == complaint


def test_ssh_config_of_all_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path))
    for name in ("b", "a"):
        machine = Machine(name, "trixie", 22101, tmp_path / "machines" / name, (User("ci"),))
        machine.home.mkdir(parents=True)
        machine.ssh_config.write_text(f"Host {name}\n")
        (machine.home / "machine.json").write_text(machine.to_json())
    assert cli.main(["ssh-config"]) == 0
    assert capsys.readouterr().out == "Host a\n\nHost b\n"
    assert cli.main(["ssh-config", "b", "--output", str(tmp_path / "config")]) == 0
    assert (tmp_path / "config").read_text() == "Host b\n"
