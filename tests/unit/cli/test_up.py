"""`provision up` over fake machines: what is printed and kept however the run ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.cli import options
from provisioner.engine import converge
from provisioner.errors import Interrupted, ProvisionError
from tests.unit.cli.test_main import ended
from tests.unit.engine.test_converge import FakeTransport

PROXY = "host_base_https_proxy=http://me:pw@proxy:3128"


def run(
    argv: list[str], end: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Path]:
    """The exit code, and the folder of a run over two drifted boxes that is ended by `end`."""

    def ends(*_: object, **__: object) -> None:
        raise end

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(options, "transports", lambda _: [FakeTransport(name, []) for name in ("a", "b")])
    monkeypatch.setattr(converge, "converge", ends)
    code = ended(["up", *argv], monkeypatch)
    (folder,) = (tmp_path / "provision" / "runs").iterdir()
    return code, folder


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (Interrupted, 130, "interrupted"),
        (KeyboardInterrupt, 130, "interrupted"),
        (lambda: ProvisionError("Ansible could not run", hint="it said nothing"), 1, "Ansible could not run"),
    ],
)
def test_a_run_that_is_ended_tells_it_once_and_keeps_what_it_was(
    make: Callable[[], BaseException], code: int, message: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ended_with, folder = run(["--json"], make(), tmp_path, monkeypatch)
    assert ended_with == code
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["error"], document["exit_code"]) == (message, code)
    assert [(host["name"], host["status"], host["error"]) for host in document["hosts"]] == [
        ("a", "failed", message), ("b", "failed", message),
    ]  # fmt: skip
    assert said.err.count(message) == 1
    assert said.err.splitlines()[-2] == f"provision: {message}"
    journal = json.loads((folder / "journal.json").read_text())
    assert journal["result"] == document
    assert f"exit code {code}" in (folder / "report.html").read_text()


def test_no_login_of_a_proxy_is_printed_or_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = run(["--json", "--set", PROXY], KeyboardInterrupt(), tmp_path, monkeypatch)
    said = capsys.readouterr()
    kept = [path.read_text() for path in folder.iterdir()]
    assert [text for text in (said.out, said.err, *kept) if "me:pw" in text] == []
    assert "http://***@proxy:3128" in said.out
    assert "--set" in json.loads((folder / "journal.json").read_text())["argv"]


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["--branch", "55O"], "driver branch 55O: no such branch is known", "did you mean 550?"),
        (
            ["--set", "nvidia_driver_branch=55O"],
            "driver branch 55O: no such branch is known",
            "did you mean 550?",
        ),
        (["--cuda", "11.0"], "CUDA 11.0: no such release is known", "did you mean 11.8?"),
        (["--route", "runfil"], "route runfil: no such way is known", "did you mean runfile?"),
        (
            ["--cuda", "12.4", "--set", "cuda_toolkit_version=12.8"],
            "--cuda 12.4 and --set cuda_toolkit_version=12.8",
            "say one of them",
        ),
        (
            ["--set", "nvidia_driver_packages=[x]"],
            "--set nvidia_driver_packages: the plan decides this one",
            "say --branch NUMBER, or --route WAY",
        ),
        (
            ["--set", "nvidia_driver_modules=free"],
            "--set nvidia_driver_modules=free: no such choice",
            "one of auto, open, proprietary",
        ),
    ],
)
def test_what_nobody_knows_of_drivers_is_said_before_a_machine_is_asked(
    argv: list[str], message: str, hint: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def nobody(_: object) -> list[Any]:
        raise AssertionError("a machine was asked")

    monkeypatch.setattr(options, "transports", nobody)
    assert ended(["up", *argv], monkeypatch) == 2
    assert capsys.readouterr().err == f"provision: {message}\n  next: {hint}\n"


def test_what_is_asked_of_driver_and_toolkit_is_kept_with_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--json", "--branch", "580", "--cuda", "12.4", "--route", "nvidia-repository"]
    _, folder = run(argv, KeyboardInterrupt(), tmp_path, monkeypatch)
    journal = json.loads((folder / "journal.json").read_text())
    plan = journal["plans"]["a"]
    assert plan["request"]["variables"] == {
        "cuda_toolkit_version": "12.4",
        "nvidia_driver_branch": "580",
        "nvidia_driver_route": "nvidia-repository",
        "cuda_toolkit_route": "nvidia-repository",
    }
    # Without a GPU there is a toolkit to install, and no driver.
    assert [role for role in plan["roles"] if role.startswith(("nvidia", "cuda"))] == [
        "nvidia_repository",
        "cuda_toolkit",
    ]
    notes = json.loads(capsys.readouterr().out)["hosts"][0]["plan"]["notes"]
    assert [note for note in notes if note.startswith("no NVIDIA GPU here, so there is no driver to install")]
