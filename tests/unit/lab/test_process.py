"""The subprocess boundary's errors, with real processes, and bounded waiting without real time."""

from __future__ import annotations

import pytest

from tests.lab import wait
from tests.lab.process import CommandError, LabError, run


def test_output_is_text_and_input_arrives() -> None:
    done = run(["sh", "-c", "cat; echo problem >&2"], input="hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello", "problem\n")


def test_standard_input_is_empty_by_default() -> None:
    assert run(["cat"]).stdout == ""


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo out; echo why >&2; exit 3", "`sh -c 'echo out; echo why >&2; exit 3'` ended with 3\nwhy"),
        ("echo out; exit 3", "`sh -c 'echo out; exit 3'` ended with 3\nout"),
        ("exit 3", "`sh -c 'exit 3'` ended with 3"),
    ],
)
def test_a_bad_status_is_an_error_with_its_reason(script: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", script])
    assert (str(caught.value), caught.value.result.returncode) == (message, 3)


def test_a_bad_status_may_be_asked_for() -> None:
    assert run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_a_missing_command_is_named() -> None:
    with pytest.raises(LabError) as caught:
        run(["no-such-command-here"])
    assert str(caught.value) == "`no-such-command-here` is not installed\npython -m tests.lab prepare"


def test_waiting_ends_with_the_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    wait.until(lambda: clock[0] > 3, 10, "it did not come")
    assert 3 < clock[0] < 4
    with pytest.raises(LabError) as caught:
        wait.until(lambda: False, 10, "it did not come", lambda: "the log")
    assert str(caught.value) == "it did not come within 10 s\nthe log"
    assert 13 < clock[0] < 14
