"""A restart as asked for on the box; the program that would do it is a stand-in, or not started at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import windows
from provisioner.target.probe.box import Box
from provisioner.target.probe.start import identity
from provisioner.target.system import restart, unit


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.parametrize("systemd", [True, False])
def test_a_look_tells_the_start_and_what_an_attempt_said(
    systemd: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda _: systemd)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout="starting\n")
    )
    request = {"do": "look", "state": str(tmp_path)}
    here = {"boot": identity(Box()), "starting": systemd}
    assert restart.main(request) == {**here, "said": ""}
    (tmp_path / restart.LOG).write_text("Access denied\n")
    assert restart.main(request) == {**here, "said": "Access denied"}


@pytest.mark.parametrize(
    ("told", "starting"),
    [("initializing", True), ("running", False), ("degraded", False), ("maintenance", False), ("", False)],
)
def test_services_that_are_still_being_started_are_told(
    told: str, starting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda _: True)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout=told + "\n")
    )
    assert restart.main({"do": "look"})["starting"] is starting


@pytest.mark.usefixtures("root")
def test_what_the_program_says_against_it_is_kept_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / restart.LOG).write_text("of another attempt\n")
    monkeypatch.setattr(restart, "command", lambda: ["/bin/sh", "-c", "echo Access denied; exit 1"])
    asked = {"do": "restart", "state": str(tmp_path), "delay": 0.01}
    assert restart.main(asked) == {"boot": identity(Box())}
    said = ""
    for _ in range(500):
        if (said := restart.main({"do": "look", "state": str(tmp_path)})["said"]) == "Access denied":
            break
        time.sleep(0.01)
    assert said == "Access denied"


@pytest.mark.parametrize(
    ("systemd", "programs", "words"),
    [
        (True, (), ["systemctl", "reboot"]),
        (False, ("shutdown", "reboot"), ["shutdown", "-r", "now"]),
        (False, ("reboot",), ["reboot"]),
    ],
)
def test_the_program_is_the_one_that_the_machine_has(
    systemd: bool, programs: tuple[str, ...], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda _: systemd)
    monkeypatch.setattr(shutil, "which", lambda name, path: name if name in programs else None)
    assert restart.command() == words


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="not 'again'"):
        restart.main({"do": "again"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TargetError, match="only root restarts a machine"):
        restart.main({"do": "restart", "state": str(tmp_path)})
    monkeypatch.setattr(os.path, "isdir", lambda _: False)
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(TargetError, match="nothing here can restart the machine"):
        restart.command()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("do", ["restart", "continue"])
def test_wsl_is_restarted_by_windows_alone_emulated(
    do: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "around", lambda _: True)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it went down"))
    monkeypatch.setattr(unit, "leave", lambda _: pytest.fail("it left a unit"))
    with pytest.raises(TargetError, match="Windows restarts WSL, nothing inside does") as caught:
        restart.main({"do": do, "state": str(tmp_path)})
    assert caught.value.hint == "run `wsl --shutdown` in Windows"
