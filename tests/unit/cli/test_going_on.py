"""What is said, left and done about a machine that needs a restart once its run has ended."""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import provisioner
from provisioner.cli import options
from provisioner.cli.going_on import TIMES, GoesOn, from_command_line, restart, said
from provisioner.cli.options import Where
from provisioner.engine.survey import Surveyed
from provisioner.errors import UsageError
from provisioner.hosts.errors import Refused
from provisioner.hosts.target import this_machine
from provisioner.hosts.transport import Access
from provisioner.report.result import Status
from tests.unit.cli.test_main import ended
from tests.unit.engine.test_converge import FakeTransport
from tests.unit.engine.test_reboot import WHY, waiting

HERE = Where((), (), None, Access())
GOES_ON = GoesOn(["up"], "ann", "/home/ann", {"HOME": "/home/ann"}, 0)


class Box(FakeTransport):
    """A machine that notes what `system.restart` was asked."""

    def __init__(self, *, here: bool) -> None:
        super().__init__("box", [])
        if here:
            self.target = this_machine("box")
        self.asked: list[dict[str, Any]] = []
        self.refuses = False

    def call(self, entry: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
        if entry != "system.restart":
            return super().call(entry, request, **how)
        if self.refuses:
            raise Refused("box: no systemd runs here", hint="do it yourself")
        self.asked.append(request)
        return {}


def needing(box: Box) -> Surveyed:
    host = waiting(box)
    return replace(host, result=replace(host.result, status=Status.REBOOT))


@pytest.fixture(autouse=True)
def _argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["provision", "up", "--set", "smoke_test_prompt=Hello you"])


AGAIN = "restart it, then go on with: provision up --set 'smoke_test_prompt=Hello you'"


@pytest.mark.parametrize("here", [True, False])
def test_a_person_is_told_what_to_type(here: bool) -> None:
    box = Box(here=here)
    host = needing(box)
    (result,) = said([host.result], [host], None)
    assert (result.status, result.hint) == (Status.REBOOT, AGAIN)
    assert box.asked == []


def test_windows_restarts_what_it_runs() -> None:
    host = needing(Box(here=True))
    assert host.result.facts is not None
    facts = replace(host.result.facts, os=replace(host.result.facts.os, wsl=True))
    host = replace(host, result=replace(host.result, facts=facts))
    (result,) = said([host.result], [host], GOES_ON)
    assert result.hint == AGAIN.replace("it,", "it with `wsl --shutdown` in Windows,")


def test_this_machine_leaves_a_unit_and_restarts() -> None:
    box = Box(here=True)
    host = needing(box)
    (result,) = said([host.result], [host], GOES_ON)
    assert (result.status, result.hint) == (
        Status.REBOOT, "it restarts now and goes on by itself: journalctl -fu provision-continue",
    )  # fmt: skip
    restart([result], [host])
    assert box.asked == [
        {
            "do": "continue", "user": "ann", "folder": "/home/ann",
            "argv": [sys.executable, "-P", "-m", "provisioner", "up"],
            "environment": {"HOME": "/home/ann", TIMES: "1"},
        },
        {"do": "restart", "state": "/var/lib/provisioner", "delay": 5.0},
    ]  # fmt: skip


def test_a_machine_elsewhere_gets_no_unit() -> None:
    box = Box(here=False)
    host = needing(box)
    results = said([host.result], [host], GOES_ON)
    restart(results, [host])
    assert ([result.hint for result in results], box.asked) == ([AGAIN], [])


def test_without_its_unit_the_machine_does_not_restart() -> None:
    box = Box(here=True)
    box.refuses = True
    host = needing(box)
    results = said([host.result], [host], GOES_ON)
    assert [(result.status, result.error, result.hint) for result in results] == [
        (Status.FAILED, "box: no systemd runs here", "do it yourself")
    ]
    restart(results, [host])
    assert box.asked == []


def test_the_unit_does_not_restart_for_ever() -> None:
    host = needing(Box(here=True))
    (result,) = said([host.result], [host], replace(GOES_ON, times=2))
    assert (result.status, result.error) == (
        Status.FAILED, f"after 2 restarts it needs yet another: {WHY}",
    )  # fmt: skip


def test_a_host_that_needs_none_is_left_as_it_is() -> None:
    host = waiting(Box(here=True))
    assert said([host.result], [host], GOES_ON) == [host.result]


def test_what_the_unit_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "HOME": "/h", "HF_TOKEN": "hf_secret", "https_proxy": "http://me:pw@proxy", "no_proxy": "a",
        "XDG_RUNTIME_DIR": "/run/user/0", TIMES: "1", "LANG": "",
    }  # fmt: skip
    assert from_command_line(["up", "--reboot"], HERE, environ) == GoesOn(
        ["up", "--reboot"], getpass.getuser(), str(tmp_path), {"HOME": "/h", "no_proxy": "a"}, 1
    )
    assert from_command_line(["up"], HERE, {TIMES: "x"}).times == 0
    # What lies in the folder is not imported, unless this program runs from there.
    checkout = Path(provisioner.__file__).parents[1]
    monkeypatch.chdir(checkout)
    given = {"PYTHONPATH": "/mine"}
    assert from_command_line(["up"], HERE, given).environment == {"PYTHONPATH": f"{checkout}:/mine"}


@pytest.mark.parametrize(
    ("argv", "where", "message"),
    [
        (["up", "-K"], replace(HERE, asked_password=True), "--reboot with -K"),
        (["up", "--set", "host_base_https_proxy=http://me:pw@p"], HERE, "with a secret on the command line"),
    ],
)
def test_what_cannot_be_written_down_is_refused(argv: list[str], where: Where, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_command_line(argv, where, {})


class Waiting(Box):
    """A machine that waits for its restart whenever it is looked at."""

    def __init__(self) -> None:
        super().__init__(here=True)
        facts = waiting(self).result.facts
        assert facts is not None
        self.answer = facts.to_json()


@pytest.mark.parametrize(
    ("argv", "asked"), [([], []), (["--reboot"], ["continue", "restart"]), (["--reboot", "--check"], [])]
)
def test_up_on_a_machine_that_waits_says_so_at_once(
    argv: list[str], asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box = Waiting()
    monkeypatch.setattr(options, "transports", lambda _: [box])
    assert ended(["up", "--json", *argv], monkeypatch) == 6
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert (host["status"], host["restart"], host["exit_code"]) == ("restart needed", WHY, 6)
    assert host["hint"]
    assert [request["do"] for request in box.asked] == asked
    assert set(box.entries) == {"probe"}, "no audit, no role"


def test_both_wishes_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["up", "--reboot", "--no-reboot"], monkeypatch) == 2
    assert "--reboot and --no-reboot together" in capsys.readouterr().err


def test_patience_is_a_positive_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(["up", "--reboot-timeout", "0"], monkeypatch) == 2
