from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.locks import is_held
from provisioner.target.runtime.share import daemon


def until(true: Callable[[], bool]) -> None:
    """Another process is waited for; it takes milliseconds."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def waiting(folder: Path) -> Callable[[], None]:
    """A process that writes where it is, and then waits to be ended."""

    def work() -> None:
        (folder.parent / "told").write_text(json.dumps([os.getpid(), os.getsid(0)]))
        (folder.parent / "told").rename(folder.parent / "session")
        signal.pause()

    return work


def reap(pid: int) -> int:
    """Its exit status; here it is a child of the test."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_it_runs_apart_until_it_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "shares/r1"
    daemon.start(str(folder), waiting(folder), [])
    until((tmp_path / "shares/session").exists)
    pid, session = json.loads((tmp_path / "shares/session").read_text())
    assert pid == session != os.getpid()
    assert is_held(str(folder / "lock"))
    daemon.sweep(str(folder.parent))
    assert folder.exists(), "what is at work is not swept away"
    assert daemon.end(str(folder)) is True
    assert reap(pid) == -signal.SIGTERM
    assert not folder.exists()
    assert daemon.end(str(folder)) is False


def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "GRACE_S", 0.05)
    monkeypatch.setattr(daemon, "POLL_S", 0.005)
    folder = tmp_path / "r1"

    def deaf() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        waiting(folder)()

    daemon.start(str(folder), deaf, [])
    until((tmp_path / "session").exists)
    assert daemon.end(str(folder)) is True
    assert reap(json.loads((tmp_path / "session").read_text())[0]) == -signal.SIGKILL


def test_its_folder_goes_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    daemon.start(str(folder), lambda: None, [])
    until(lambda: not folder.exists())
    assert os.waitpid(-1, 0)[1] == 0


def test_what_went_wrong_is_in_its_log_and_swept_away_later(tmp_path: Path) -> None:
    folder = tmp_path / "shares/r1"
    daemon.start(str(folder), lambda: 1 / 0, [])  # type: ignore[arg-type]
    assert os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) == 1
    assert "ZeroDivisionError" in (folder / "log.txt").read_text()
    daemon.sweep(str(folder.parent))
    assert not folder.exists()
    daemon.sweep(str(tmp_path / "nowhere"))


def test_only_what_is_named_stays_open(tmp_path: Path) -> None:
    kept, other = os.open("/dev/null", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)
    folder = tmp_path / "shares/r1"

    def work() -> None:
        found = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
        (tmp_path / "told").write_text("\n".join(sorted(str(path) for path in found if path.exists())))
        os.read(kept, 0)

    daemon.start(str(folder), work, [kept])
    until(lambda: not folder.exists())
    os.waitpid(-1, 0)
    os.close(kept)
    os.close(other)
    assert (tmp_path / "told").read_text().split("\n") == ["/dev/null", f"{folder}/lock", f"{folder}/log.txt"]
