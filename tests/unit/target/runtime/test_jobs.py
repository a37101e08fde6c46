from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import windows
from provisioner.target.runtime import jobs, process

from .conftest import Gate, request

Apply = Callable[[dict[str, Any], Any], Any]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Apply], Path]:
    """Puts a job in place of `env`; answers the file to which each start adds a line."""
    runs = tmp_path / "runs"

    def put(apply: Apply) -> Path:
        def counted(spec: dict[str, Any], context: Any) -> Any:
            with runs.open("a") as out:
                out.write(f"{os.getpid()}\n")
            return apply(spec, context)

        module = SimpleNamespace(
            CHANGES=True,
            inspect=lambda spec: None if (tmp_path / "done").exists() else "not done",
            describe=lambda spec: {"described": True},
            apply=counted,
        )
        monkeypatch.setattr(jobs, "_module", lambda kind: module)
        return runs

    return put


def starts(runs: Path) -> list[int]:
    return [int(line) for line in runs.read_text().split()] if runs.exists() else []


def job_file(state: Path, name: str) -> Path:
    return state / "jobs" / "n" / name


def test_a_job_runs_detached_and_its_result_comes_back(
    tmp_path: Path, install: Callable[[Apply], Path]
) -> None:
    def apply(spec: dict[str, Any], context: Any) -> Any:
        context.say("working", 10, 3)
        print("a line")
        return {"session": os.getsid(0), "pid": os.getpid(), "token": spec["secrets"]["hub_token"]}

    install(apply)
    answer = jobs.main(request(tmp_path, {"a": 1, "secrets": {"hub_token": "s3cret"}}))
    result = answer.pop("result")
    assert answer == {"changed": True, "finished": True}
    assert result["session"] == result["pid"] != os.getpid()
    assert result["token"] == "s3cret"
    assert json.loads(job_file(tmp_path, "spec.json").read_text()) == {"job": "env", "spec": {"a": 1}}
    assert job_file(tmp_path, "log.txt").read_text() == "== env: not done\n== working\na line\n"
    assert json.loads(job_file(tmp_path, "progress.json").read_text())["phase"] == "working"


def test_a_job_in_wsl_finds_linux_programs_only_emulated(
    tmp_path: Path, install: Callable[[Apply], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"/mnt/c/Windows:{os.environ['PATH']}")
    monkeypatch.setattr(windows, "around", lambda _: True)
    install(lambda spec, context: {"path": os.environ["PATH"]})
    assert jobs.main(request(tmp_path, {}))["result"]["path"] == os.environ["PATH"]
    assert "/mnt/c" not in os.environ["PATH"]


def test_nothing_of_a_secret_is_written(tmp_path: Path, install: Callable[[Apply], Path]) -> None:
    install(lambda spec, context: {})
    spec = {"secrets": {"hub_token": "s3cret"}, "network": {"http_proxy": "http://me:pa55@proxy:1"}}
    jobs.main(request(tmp_path, spec))
    written = "".join(path.read_text() for path in (tmp_path / "jobs/n").iterdir())
    assert "s3cret" not in written
    assert "pa55" not in written


def test_only_its_owner_can_open_a_jobs_lock(tmp_path: Path, install: Callable[[Apply], Path]) -> None:
    """A shared flock needs no more than reading, and no job would begin for as long as it is held."""
    install(lambda spec, context: {})
    job_file(tmp_path, "lock").parent.mkdir(parents=True)
    job_file(tmp_path, "lock").touch(0o644)
    assert jobs.main(request(tmp_path, {}))["finished"] is True
    assert job_file(tmp_path, "lock").stat().st_mode & 0o777 == 0o600


def test_notes_that_another_took_away_meanwhile_do_not_come_again(
    tmp_path: Path, install: Callable[[Apply], Path]
) -> None:
    """Two wait for one way back; the faster one has removed the notes when the other looks again."""

    def apply(spec: dict[str, Any], context: Any) -> Any:
        (tmp_path / "done").touch()
        shutil.rmtree(tmp_path / "jobs")
        return {}

    runs = install(apply)
    answer = jobs.main(request(tmp_path, {}))
    assert answer == {"changed": True, "finished": True, "result": {"described": True}}
    (job,) = starts(runs)
    # The lock goes first, and the answer does not wait for the rest.
    with contextlib.suppress(ChildProcessError):  # the answer came after its end
        os.waitpid(job, 0)
    assert not (tmp_path / "jobs").exists()


def test_a_finished_one_costs_a_look(tmp_path: Path, install: Callable[[Apply], Path]) -> None:
    runs = install(lambda spec, context: {})
    (tmp_path / "done").touch()
    assert jobs.main(request(tmp_path, {})) == {
        "changed": False,
        "finished": True,
        "result": {"described": True},
    }
    assert starts(runs) == []


def test_check_looks_and_writes_nothing(tmp_path: Path, install: Callable[[Apply], Path]) -> None:
    runs = install(lambda spec, context: {})
    answer = jobs.main(request(tmp_path, {}, check=True))
    assert answer == {"changed": True, "finished": False, "result": {"reason": "not done"}}
    assert (starts(runs), (tmp_path / "jobs").exists()) == ([], False)


def test_the_same_spec_attaches_to_the_one_that_runs(
    tmp_path: Path, install: Callable[[Apply], Path], gate: Gate
) -> None:
    def apply(spec: dict[str, Any], context: Any) -> Any:
        gate.arrive()
        return {"pid": os.getpid()}

    runs = install(apply)
    first = jobs.main(request(tmp_path, {"a": 1}, wait=False))
    assert first == {"changed": True, "finished": False, "result": {"reason": "not done"}}
    gate.wait()
    # Other secrets are no other job.
    again = jobs.main(request(tmp_path, {"a": 1, "secrets": {"hub_token": "x"}}, wait=False))
    assert again == {"changed": False, "finished": False, "result": {"reason": "already under way"}}
    gate.let_through()
    last = jobs.main(request(tmp_path, {"a": 1}))
    assert last == {"changed": True, "finished": True, "result": {"pid": starts(runs)[0]}}
    assert len(starts(runs)) == 1


def test_another_spec_ends_the_one_that_runs(
    tmp_path: Path, install: Callable[[Apply], Path], gate: Gate
) -> None:
    def apply(spec: dict[str, Any], context: Any) -> Any:
        if spec["a"] == 1:
            gate.arrive()
        return spec

    runs = install(apply)
    jobs.main(request(tmp_path, {"a": 1}, wait=False))
    gate.wait()
    assert jobs.main(request(tmp_path, {"a": 2}))["result"] == {"a": 2}
    first = starts(runs)[0]
    assert os.waitpid(first, 0)[1] == signal.SIGTERM


def test_a_killed_job_leaves_no_lie_and_is_begun_again(
    tmp_path: Path, install: Callable[[Apply], Path], gate: Gate
) -> None:
    def apply(spec: dict[str, Any], context: Any) -> Any:
        if len(starts(tmp_path / "runs")) == 1:
            gate.arrive()
        return {"done": True}

    runs = install(apply)
    jobs.main(request(tmp_path, {}, wait=False))
    gate.wait()
    os.kill(starts(runs)[0], signal.SIGKILL)
    os.waitpid(starts(runs)[0], 0)
    assert not job_file(tmp_path, "result.json").exists()
    assert jobs.main(request(tmp_path, {})) == {"changed": True, "finished": True, "result": {"done": True}}
    assert len(starts(runs)) == 2


def test_a_child_that_outlives_its_killed_job_is_ended_first(
    tmp_path: Path, install: Callable[[Apply], Path], gate: Gate
) -> None:
    """Otherwise an orphaned installer would write beside the new one."""

    def apply(spec: dict[str, Any], context: Any) -> Any:
        if len(starts(tmp_path / "runs")) == 1:
            script = f"echo $$ > {tmp_path}/orphan; echo > {gate.reached}; exec sleep 1000"
            process.run(["sh", "-c", script], os.environ)
        return {}

    runs = install(apply)
    jobs.main(request(tmp_path, {}, wait=False))
    gate.wait()
    os.kill(starts(runs)[0], signal.SIGKILL)
    os.waitpid(starts(runs)[0], 0)
    orphan = int((tmp_path / "orphan").read_text())
    os.kill(orphan, 0)
    assert jobs.main(request(tmp_path, {}))["finished"] is True
    assert not jobs._alive(orphan)


def test_a_waiter_that_dies_leaves_the_job_running(
    tmp_path: Path, install: Callable[[Apply], Path], gate: Gate
) -> None:
    def apply(spec: dict[str, Any], context: Any) -> Any:
        gate.arrive()
        return {"pid": os.getpid()}

    runs = install(apply)
    waiter = os.fork()
    if waiter == 0:
        os.setsid()
        jobs.main(request(tmp_path, {}))
        os._exit(0)
    gate.wait()
    # What a cut connection does: the whole session of the waiter ends.
    os.killpg(waiter, signal.SIGHUP)
    os.killpg(waiter, signal.SIGKILL)
    os.waitpid(waiter, 0)
    gate.let_through()
    assert jobs.main(request(tmp_path, {}))["result"] == {"pid": starts(runs)[0]}


def die(spec: dict[str, Any], context: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def stumble(spec: dict[str, Any], context: Any) -> Any:
    os.kill(os.getpid(), signal.SIGILL)


def crash(spec: dict[str, Any], context: Any) -> Any:
    raise ValueError("seven is no colour")


def refuse(spec: dict[str, Any], context: Any) -> Any:
    raise TargetError("no such thing", "take another")


def full(spec: dict[str, Any], context: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/models/x")


def vanish(spec: dict[str, Any], context: Any) -> Any:
    print("the last thing it said")
    os._exit(1)


ENDINGS: list[tuple[Apply, str, str, int]] = [
    (die, "env was killed twice, the last time by SIGKILL", "out-of-memory killer", 2),
    (stumble, "env was killed twice, the last time by SIGILL", "newer processors", 2),
    (crash, "env crashed: ValueError: seven is no colour", "jobs/n/log.txt", 1),
    (refuse, "no such thing", "take another", 1),
    (full, "/models/x: No space left on device", "free some disk space", 1),
    (vanish, "env ended twice without a result: the last thing it said", "jobs/n/log.txt", 2),
]


@pytest.mark.parametrize(
    ("apply", "message", "hint", "count"), ENDINGS, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_bad_end_is_told_in_a_line(
    apply: Apply, message: str, hint: str, count: int, tmp_path: Path, install: Callable[[Apply], Path]
) -> None:
    runs = install(apply)
    with pytest.raises(TargetError) as caught:
        jobs.main(request(tmp_path, {}))
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")
    assert len(starts(runs)) == count


def test_the_story_of_a_crash_is_in_the_log(tmp_path: Path, install: Callable[[Apply], Path]) -> None:
    install(crash)
    with pytest.raises(TargetError):
        jobs.main(request(tmp_path, {}))
    assert "raise ValueError" in job_file(tmp_path, "log.txt").read_text()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root, where mounting is allowed, can make a full file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_state_folder_on_a_full_disk(tmp_path: Path, tiny: Path, install: Callable[[Apply], Path]) -> None:
    def apply(spec: dict[str, Any], context: Any) -> Any:
        print("x" * 100_000)

    install(apply)
    with pytest.raises(TargetError, match=r"No space left on device") as caught:
        jobs.main(request(tiny, {}))
    assert "free some disk space" in (caught.value.hint or "")


def test_an_unknown_job(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no such job: dance"):
        jobs.main(request(tmp_path, {}, job="dance"))
