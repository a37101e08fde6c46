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
