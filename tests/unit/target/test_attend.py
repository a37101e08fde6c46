"""The attendant: its lock with real processes, its reports with a clock of the test's own."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.hosts import bundle
from provisioner.target.errors import TargetError
from provisioner.target.probe.attend import attend, gone, holder_of

HOLDER = {"who": "ann@laptop", "run": "r1"}


def start(state: Path) -> subprocess.Popen[bytes]:
    """An attendant as a box runs it, its first answer not yet read."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", bundle.loader()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(bundle.payload("probe.attend", {"state": str(state), "holder": HOLDER}))
    process.stdin.flush()
    return process


def first(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout
    assert (process.stdout.readline(), process.stdout.readline()) == (b"\n", b"PROVISION1 stream\n")
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def stop(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.stdout.close()
    return process.wait(60)


def test_one_holds_the_lock_and_the_next_is_told_who(tmp_path: Path) -> None:
    state = tmp_path / "var" / "state"
    holding = start(state)
    assert first(holding) == {"lock": "held"}
    noted = holder_of(str(state))
    assert noted is not None
    assert (noted.pop("since")[-1], noted) == ("Z", {**HOLDER, "pid": holding.pid})
    told = start(state)
    answer = first(told)
    assert {**answer, "holder": {**answer["holder"], "since": ""}} == {
        "lock": "busy",
        "holder": {**HOLDER, "pid": holding.pid, "since": ""},
    }
    assert told.wait(60) == 0
    stop(told)
    assert holder_of(str(state)) is not None
    assert stop(holding) == 0
    assert holder_of(str(state)) is None
    assert (state / "run.lock").read_text() == ""


def test_the_folders_it_makes_can_be_read_by_all(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        process = start(tmp_path / "a" / "b")
        first(process)
    finally:
        os.umask(old)
    stop(process)
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "a", tmp_path / "a" / "b")] == [
        "0o755"
    ] * 2


CONTROLLER = """
import subprocess, sys, time
from provisioner.hosts import bundle
process = subprocess.Popen([sys.executable, "-I", "-c", bundle.loader()], stdin=subprocess.PIPE, stdout=1)
request = {{"state": {state!r}, "holder": {{"who": "x", "run": "r"}}}}
process.stdin.write(bundle.payload("probe.attend", request))
process.stdin.flush()
time.sleep(60)
"""


def test_a_killed_controller_frees_the_lock_at_once(tmp_path: Path) -> None:
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER.format(state=str(tmp_path))], stdout=subprocess.PIPE
    )
    assert first(controller) == {"lock": "held"}
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    # The attendant writes to our pipe: that it ends means that the attendant has.
    assert controller.stdout
    assert controller.stdout.read() == b""
    controller.stdout.close()
    again = start(tmp_path)
    assert first(again) == {"lock": "held"}
    stop(again)


def test_a_killed_attendant_leaves_no_lock(tmp_path: Path) -> None:
    process = start(tmp_path)
    first(process)
    process.kill()
    process.wait()
    assert json.loads((tmp_path / "run.lock").read_text())["pid"] == process.pid
    assert holder_of(str(tmp_path)) is None
    stop(process)


def test_a_controller_is_gone_when_it_hangs_up_or_falls_silent() -> None:
    reading, writing = os.pipe()
    patient, hasty, deaf = gone(reading, 60), gone(reading, -1), gone(reading, None)
    assert (patient(0), hasty(0), deaf(0)) == (False, True, False)
    os.write(writing, b"\n")
    assert hasty(0) is False, "it was heard this very moment"
    os.close(writing)
    assert (patient(0), hasty(0), deaf(0)) == (True, True, True)
    os.close(reading)


class Clock:
    """Stands for the wait on stdin: each tick does something to the box; the end of the ticks is its end."""

    def __init__(self, *ticks: Callable[[], object]) -> None:
        self.ticks = list(ticks)

    def __call__(self, seconds: float) -> bool:
        if not self.ticks:
            return True
        self.ticks.pop(0)()
        return False


def test_progress_is_told_when_it_changes_and_what_was_there_before_is_not(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"

    def put(name: str, text: str) -> Callable[[], object]:
        def tick() -> None:
            (jobs / name).mkdir(parents=True, exist_ok=True)
            (jobs / name / "progress.json").write_text(text)

        return tick

    put("old", '{"job": "old", "phase": "done"}')()
    (jobs / "stray").touch()
    clock = Clock(
        put("env", '{"job": "env", "phase": "fetch"}'),
        put("env", '{"job": "env", "phase": "fetch"}'),
        put("env", '{"job": "env", "pha'),
        put("env", '{"job": "env", "phase": "unpack"}'),
        put("weights", '{"job": "weights"}'),
        put("old", '{"job": "old", "phase": "again"}'),
    )
    assert list(attend(str(tmp_path), HOLDER, clock)) == [
        {"lock": "held"},
        {"progress": {"job": "env", "phase": "fetch"}},
        {"progress": {"job": "env", "phase": "unpack"}},
        {"progress": {"job": "weights"}},
        {"progress": {"job": "old", "phase": "again"}},
    ]


def test_a_job_that_stands_still_is_spoken_of_now_and_then(tmp_path: Path) -> None:
    job = tmp_path / "jobs" / "env"
    job.mkdir(parents=True)
    seconds = 0.0
    lock = os.open(job / "lock", os.O_RDWR | os.O_CREAT)

    def say(done: int, passed: float, more: Callable[[], object] = lambda: None) -> Callable[[], object]:
        def tick() -> None:
            nonlocal seconds
            seconds += passed
            said = {"job": "env", "phase": "p", "done_bytes": done, "rate": 9.0, "eta_s": 1.0, "at": seconds}
            (job / "progress.json").write_text(json.dumps(said))
            more()

        return tick

    clock = Clock(
        say(1, 1, lambda: fcntl.flock(lock, fcntl.LOCK_EX)),
        say(1, 179),
        say(1, 1),  # three minutes, in which it said the same three times
        say(1, 179),
        say(1, 2),  # and three more
        say(2, 500),  # it goes on
        say(2, 100, lambda: fcntl.flock(lock, fcntl.LOCK_UN)),
        say(2, 100),  # it has ended, and may be still
    )
    answers = list(attend(str(tmp_path), HOLDER, clock, lambda: seconds))
    os.close(lock)
    told = [one["progress"] for one in answers if "still_s" in one.get("progress", {})]
    assert [(one["still_s"], one["done_bytes"], one["rate"], one["eta_s"]) for one in told] == [
        (180.0, 1, None, None), (361.0, 1, None, None),
    ]  # fmt: skip
    assert {one["log"] for one in told} == {str(job / "log.txt")}


def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TargetError) as caught:
        next(attend(str(tmp_path / "file" / "state"), HOLDER, Clock()))
    assert (caught.value.message, caught.value.hint) == (
        f"cannot write {tmp_path}/file/state/run.lock: Not a directory",
        "run with root (or sudo) for the system's places, or with --scope user for your own",
    )


@pytest.mark.parametrize(
    ("text", "holder"),
    [("", {}), ("{", {}), ("[1]", {}), ('{"who": "x"}', {"who": "x"})],
)
def test_a_holder_that_cannot_be_read_is_still_a_holder(
    tmp_path: Path, text: str, holder: dict[str, str]
) -> None:
    (tmp_path / "run.lock").write_text(text)
    with (tmp_path / "run.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert holder_of(str(tmp_path)) == holder
        assert list(attend(str(tmp_path), HOLDER, Clock())) == [{"lock": "busy", "holder": holder}]


@pytest.mark.parametrize("there", [False, True], ids=["new", "from before"])
def test_only_its_owner_can_open_the_lock(tmp_path: Path, there: bool) -> None:
    """A shared flock needs no more than reading, and would stop every run for as long as it is held."""
    lock = tmp_path / "run.lock"
    if there:
        lock.touch(0o644)
    assert next(attend(str(tmp_path), HOLDER, Clock())) == {"lock": "held"}
    assert lock.stat().st_mode & 0o777 == 0o600


def test_a_look_at_the_lock_does_not_make_it_busy(tmp_path: Path) -> None:
    assert holder_of(str(tmp_path)) is None
    (tmp_path / "run.lock").touch()
    assert holder_of(str(tmp_path)) is None
    assert next(attend(str(tmp_path), HOLDER, Clock())) == {"lock": "held"}
