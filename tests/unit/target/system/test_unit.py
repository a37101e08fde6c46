"""The unit that goes on after a restart: its whole text, and what it is made of on a disk."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import unit


def test_the_unit_runs_one_command_line_once() -> None:
    assert unit.text(
        ["/usr/bin/python3", "-m", "provisioner", "up", "--set", 'a=100% "b" $c\\d'],
        "ann",
        "/home/ann/100%",
        {"PATH": "/usr/bin", "HOME": "/home/ann"},
    ) == (
        "# Left by `provision up --reboot`: goes on after the restart, once.\n"
        "[Unit]\n"
        "Description=Go on with provision after the restart\n"
        "Wants=network-online.target\n"
        "After=network-online.target\n"
        "\n"
        "[Service]\n"
        "Type=exec\n"
        "User=ann\n"
        "WorkingDirectory=/home/ann/100%%\n"
        'Environment="HOME=/home/ann"\n'
        'Environment="PATH=/usr/bin"\n'
        "ExecStartPre=+/bin/rm -f /etc/systemd/system/provision-continue.service"
        " /etc/systemd/system/multi-user.target.wants/provision-continue.service\n"
        'ExecStart="/usr/bin/python3" "-m" "provisioner" "up" "--set" "a=100%% \\"b\\" $$c\\\\d"\n'
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def test_a_line_break_would_be_another_setting() -> None:
    assert unit.quoted("a\nExecStart=/bin/sh") == '"a\\nExecStart=/bin/sh"'
    with pytest.raises(TargetError, match="cannot carry a line break"):
        unit.text([], "ann", "/home/ann\nUser=root", {})


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /etc/systemd/system of a machine where we are root."""
    monkeypatch.setattr(unit, "PATH", str(tmp_path / "system" / unit.NAME))
    monkeypatch.setattr(unit, "WANTS", str(tmp_path / "system" / "wants" / unit.NAME))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/run/systemd/system" or Path(path).is_dir())
    return tmp_path / "system"


REQUEST: dict[str, Any] = {"argv": ["/bin/true"], "folder": "/", "environment": {}}


def test_it_is_left_for_the_next_start_and_replaces_an_older_one(places: Path) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    for argv in (["/bin/false"], ["/bin/true"]):
        assert unit.leave({**REQUEST, "user": user, "argv": argv}) == str(places / unit.NAME)
    assert sorted(str(path.relative_to(places)) for path in places.rglob("*")) == [
        unit.NAME, "wants", f"wants/{unit.NAME}",
    ]  # fmt: skip
    assert (places / "wants" / unit.NAME).resolve() == places / unit.NAME
    assert 'ExecStart="/bin/true"\n' in (places / unit.NAME).read_text()
    assert (places / unit.NAME).stat().st_mode & 0o777 == 0o600


def test_what_could_not_run_is_not_left(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="no such user: nobody-at-all"):
        unit.leave({**REQUEST, "user": "nobody-at-all"})
    monkeypatch.setattr(os.path, "isdir", lambda _: False)
    with pytest.raises(TargetError, match="no systemd runs here"):
        unit.leave({**REQUEST, "user": "root"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TargetError, match="only root leaves a unit"):
        unit.leave({**REQUEST, "user": "root"})
    assert not places.exists()
