"""Every ending: its exit code, its lines on standard error, and one JSON document where one was asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provisioner import cli
from provisioner.cli import options, output
from provisioner.errors import ProvisionError, UsageError
from provisioner.facts import Facts
from provisioner.hosts.errors import Unreachable
from provisioner.hosts.target import Target, parse_host


def ended(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The exit code of `provision ARGV`."""
    monkeypatch.setattr(sys, "argv", ["provision", *argv])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.mark.parametrize(
    ("raised", "code", "message", "hint"),
    [
        (ProvisionError("box: it is full", hint="make room"), 1, "box: it is full", "make room"),
        (ProvisionError("box: it is full"), 1, "box: it is full", None),
        (UsageError("no such thing", hint="try another"), 2, "no such thing", "try another"),
        (
            KeyboardInterrupt(), 130, "interrupted",
            "what was started on the machines goes on; run the same again",
        ),
        (
            PermissionError(13, "Permission denied", "/home/x/password"), 1,
            "/home/x/password: Permission denied", "see that it is there, may be used, and has room",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_ends_in_lines_a_code_and_a_document(
    raised: BaseException, code: int, message: str, hint: str | None, as_json: bool,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fails(_: object) -> None:
        raise raised

    monkeypatch.setattr(options, "where_from", fails)
    assert ended(["up", *(["--json"] if as_json else [])], monkeypatch) == code
    said = capsys.readouterr()
    assert said.err.strip() == f"provision: {message}" + (f"\n  next: {hint}" if hint else "")
    document = {"schema": 1, "exit_code": code, "error": message, "hint": hint}
    assert said.out == (json.dumps(document) + "\n" if as_json else "")


@pytest.mark.parametrize("argv", [["profiles"], ["profiles", "--json"]])
def test_standard_output_without_room_is_one_line(argv: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "provisioner", *argv],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr.splitlines()[0]) == (1, "provision: No space left on device")
    assert "Traceback" not in ended.stderr


def test_a_defect_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(options, "where_from", fails)
    monkeypatch.setattr(sys, "argv", ["provision", "up"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["upp"], 2, "no such verb: upp"),
        (
            ["up", "--chekc", "--json"],
            2,
            "No such option '--chekc'. (Did you mean one of: '--check', '--help'?)",
        ),
    ],
)
def test_a_command_line_that_means_nothing(
    argv: list[str], code: int, message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert ended(argv, monkeypatch) == code
    said = capsys.readouterr()
    assert said.err.splitlines()[0] == f"provision: {message}"
    assert [json.loads(said.out)["error"] if said.out else None] == [message if "--json" in argv else None]


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", '{"a": "→é"}\n'),
        ("latin-1", '{"a": "\\u2192\\u00e9"}\n'),
        ("ascii", '{"a": "\\u2192\\u00e9"}\n'),
    ],
)
def test_a_document_is_json_on_any_output(
    encoding: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    output.escape_what_cannot_be_shown()
    output.document({"a": "→é"})
    sys.stdout.flush()
    assert raw.getvalue() == written.encode(encoding)


def test_words_that_a_terminal_cannot_show_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.escape_what_cannot_be_shown()
    print("a → b \udc80", flush=True)
    assert raw.getvalue() == b"a \\u2192 b \\udc80\n"


def test_facts_of_a_wrong_shape_are_that_machines_trouble(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.unit.compat.test_plan import facts

    class Box:
        def __init__(self, name: str, answer: dict[str, Any] | ProvisionError) -> None:
            self.target, self.answer = Target(name), answer

        def call(self, *_: Any, **__: Any) -> dict[str, Any]:
            if isinstance(self.answer, ProvisionError):
                raise self.answer
            return self.answer

    good = facts().to_json()
    boxes = [Box("old", {"schema": 9}), Box("far", Unreachable("far: no answer")), Box("good", good)]
    monkeypatch.setattr(options, "transports", lambda _: boxes)
    assert ended(["facts", "--json"], monkeypatch) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["hosts"]["old"]["error"].startswith("old: the probe answered with facts of schema 9")
    assert document["hosts"]["far"] == {"error": "far: no answer", "hint": None}
    assert Facts.decode(document["hosts"]["good"]) == facts()
    assert "None" not in said.err


@pytest.mark.parametrize(
    ("hosts", "addresses"),
    [
        (("box", "box"), ["box"]),
        (("a@box", "box2", "a@box"), ["box", "box2"]),
        (("box:22", "box"), ["box", "box"]),
    ],
)
def test_a_host_named_twice_is_one(hosts: tuple[str, ...], addresses: list[str]) -> None:
    assert [target.address for target in options._each_once(map(parse_host, hosts))] == addresses


def test_two_hosts_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        list(options._each_once(map(parse_host, ("alice@box", "bob@box"))))
    assert caught.value.message == "two hosts would both be called box: alice@box and bob@box"
