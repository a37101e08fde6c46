"""Runs one job a name at a time, detached, so that a cut connection loses nothing.

In `<state>/jobs/<name>/`: `lock` (an flock held by the job's process and its children; its text names
them), `spec.json`, `progress.json`, `log.txt`, `result.json`. A job that was killed leaves no result, and is
begun again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import sys
import time
import traceback
import uuid
from typing import Any, Dict, NamedTuple, NoReturn, Optional

from ..errors import TargetError
from ..probe import windows
from ..probe.box import Box
from . import memory, process
from .detached import let_go
from .files import digest_of, os_refusal, read_json, write_json
from .progress import Progress

JOBS = ("env", "weights", "smoke", "packages", "runfile", "undo")
POLL_S = 0.1
GRACE_S = 5.0  # between asking another spec's job to end and ending it

# A parsed value of /proc/<pid>/stat: the process has ended, only its parent has not looked yet.
_ENDED = ("Z", "X")


class Context(NamedTuple):
    """What a job gets to work with."""

    name: str
    progress: Progress
    folder: str = ""  # where the log is

    def say(self, phase: str, total: Optional[int] = None, done: Optional[int] = None) -> None:
        """A new phase, for the watcher and for the log."""
        print(f"== {phase}", flush=True)
        self.progress.phase(phase, total, done)


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry of docs/architecture.md: starts a job, attaches to it, or only looks (`check`)."""
    kind = request["job"]
    if kind not in JOBS:
        raise TargetError(f"no such job: {kind}", f"one of {', '.join(JOBS)}")
    windows.settle(os.environ, Box())
    spec = request["spec"]
    if isinstance(spec.get("network"), str):
        # The path of network.json, which host_base keeps on the box: other roles need not know what is in it.
        spec = dict(spec, network=read_json(spec["network"]) or {})
    module = _module(kind)
    folder = os.path.join(request["dirs"]["state"], "jobs", request.get("name") or kind)
    try:
        if request.get("check"):
            reason = module.inspect(spec)
            result = module.describe(spec) if reason is None else {"reason": reason}
            return {
                "changed": reason is not None and module.CHANGES,
                "finished": reason is None,
                "result": result,
            }
        return _Job(folder, kind, spec, module).run(wait=request.get("wait", True))
    except OSError as error:
        raise os_refusal(error, folder) from error


def _module(kind: str) -> Any:
    # Named one by one: what is imported by name is what hosts/bundle.py sends along. Each where it is asked
    # for: the others need not be compiled on the box.
    if kind == "packages":
        from ..system.packages import job

        return job
    if kind == "runfile":
        from ..system import runfile

        return runfile
    if kind == "undo":
        from ..system.undo import job as undo

        return undo
    if kind == "env":
        from . import env

        return env
    if kind == "weights":
        from . import weights

        return weights
    from . import smoke

    return smoke


class _Job:
    """One request for a job: look, start or attach, wait."""

    def __init__(self, folder: str, kind: str, spec: Dict[str, Any], module: Any) -> None:
        self._folder, self._kind, self._spec, self._module = folder, kind, spec, module
        self._public = json.loads(
            process.without_login(json.dumps({key: spec[key] for key in spec if key != "secrets"}))
        )
        self._digest = digest_of({"job": kind, "spec": self._public})
        self._child = 0
        self._status: Optional[int] = None
        self._kills = memory.kills()

    def run(self, wait: bool) -> Dict[str, Any]:
        starts = 0
        started = False
        run = ""
        while True:
            try:
                lock = self._try_lock()
            except FileNotFoundError:
                # The first job here; or the tool's notes went meanwhile, with a way back that another took:
                # then nothing of them may come again.
                reason = self._module.inspect(self._spec)
                if reason is None:
                    return self._nothing_left(started)
                self._make_lock()
                continue
            if lock is not None:
                try:
                    ended = self._result(run)
                    if ended is not None:
                        return self._answer(ended)
                    out = self._out_of_memory()
                    if out is not None:
                        raise out
                    if starts == 2:
                        raise self._killed()
                    reason = self._module.inspect(self._spec)
                    if reason is None:
                        return self._nothing_left(started)
                    run = self._start(lock, reason)
                    starts, started = starts + 1, True
                finally:
                    # The job's own copy of the descriptor keeps the lock.
                    os.close(lock)
                if not wait:
                    return {"changed": self._module.CHANGES, "finished": False, "result": {"reason": reason}}
            else:
                working = self._ours()
                if working is not None:
                    run, started = working, True
                    if not wait:
                        return {
                            "changed": False,
                            "finished": False,
                            "result": {"reason": "already under way"},
                        }
                time.sleep(POLL_S)

    # --- the lock -------------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _make_lock(self) -> None:
        os.makedirs(self._folder, exist_ok=True)
        os.close(os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _try_lock(self) -> Optional[int]:
        """The descriptor of the lock, its text emptied, or None while somebody holds it.

        Never makes it: who waits looks often, also while another takes away this very folder.
        """
        if self._child:
            # Reaped at once, so that a dead job is not mistaken for a living one.
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._child, self._status = 0, status
        lock = os.open(self._path("lock"), os.O_RDWR | os.O_CLOEXEC)
        # Whoever may read it could hold it shared for as long as they like, and no job would ever begin.
        os.fchmod(lock, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        os.ftruncate(lock, 0)
        return lock

    def _ours(self) -> Optional[str]:
        """The run at work on what we ask for. Another's is ended, and what a dead one left behind as well."""
        holder = self._holder()
        if holder is None:
            return None
        if not _alive(holder["pid"]):
            # Its children still write; their lock keeps the group's number from being reused.
            _signal_group(holder["pid"], signal.SIGKILL)
            return None
        if holder["digest"] != self._digest:
            self._end(holder["pid"])
            return None
        return str(holder["run"])

    def _holder(self) -> Optional[Dict[str, Any]]:
        """Who works now; None in the moment between taking the lock and saying so."""
        value = read_json(self._path("lock"))
        return value if value and {"pid", "digest", "run"} <= set(value) else None

    def _end(self, pid: int) -> None:
        _signal_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            time.sleep(POLL_S)
            if not _alive(pid):
                break
        _signal_group(pid, signal.SIGKILL)

    # --- the job's process ----------------------------------------------------------------------------------

    def _start(self, lock: int, reason: str) -> str:
        run = uuid.uuid4().hex
        for stale in ("result.json", "progress.json"):
            if os.path.exists(self._path(stale)):
                os.unlink(self._path(stale))
        write_json(self._path("spec.json"), {"job": self._kind, "spec": self._public})
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(lock, run, reason)
        self._child = pid
        return run

    def _become(self, lock: int, run: str, reason: str) -> NoReturn:
        """The forked child: its own session, its own log, nothing of the connection; never returns."""
        status = 1
        try:
            let_go(self._path("log.txt"), [lock])
            os.pwrite(lock, json.dumps({"pid": os.getpid(), "digest": self._digest, "run": run}).encode(), 0)
            process.inherited[:] = [lock]
            print(f"== {self._kind}: {reason}", flush=True)
            write_json(self._path("result.json"), {"run": run, **self._work()})
            status = 0
        except OSError as error:
            # Told by the exit status: where nothing can be written, a result cannot either.
            status = min(error.errno or 1, 125)
            traceback.print_exc()
        except Exception:  # noqa: BLE001
            traceback.print_exc()
        finally:
            # Whatever happened, a forked child must not unwind into its parent's frames.
            os._exit(status)

    def _work(self) -> Dict[str, Any]:
        context = Context(self._kind, Progress(self._path("progress.json"), self._kind), self._folder)
        try:
            return {"ok": True, "value": self._module.apply(self._spec, context)}
        except TargetError as refusal:
            error = refusal
        except OSError as failure:
            traceback.print_exc()
            error = os_refusal(failure, self._folder)
        except Exception as crash:  # noqa: BLE001
            traceback.print_exc()
            last = traceback.format_exception_only(type(crash), crash)[-1].strip()
            error = TargetError(
                f"{self._kind} crashed: {last}", f"the whole story is in {self._path('log.txt')}"
            )
        print(f"!! {error.message}", flush=True)
        return {"ok": False, "error": error.message, "hint": error.hint}

    # --- the end --------------------------------------------------------------------------------------------

    def _result(self, run: str) -> Optional[Dict[str, Any]]:
        """The result of the run that is waited for, if it came to one."""
        value = read_json(self._path("result.json")) if run else None
        return value if value and value.get("run") == run else None

    def _nothing_left(self, started: bool) -> Dict[str, Any]:
        """The answer where there is nothing to do, or no more."""
        return {"changed": started, "finished": True, "result": self._module.describe(self._spec)}

    def _answer(self, ended: Dict[str, Any]) -> Dict[str, Any]:
        if not ended["ok"]:
            raise TargetError(ended["error"], ended["hint"])
        return {"changed": self._module.CHANGES, "finished": True, "result": ended["value"]}

    def _out_of_memory(self) -> Optional[TargetError]:
        """The error of a job that the kernel ended for its memory: it would only end it again."""
        if self._status is None or not os.WIFSIGNALED(self._status):
            return None
        if os.WTERMSIG(self._status) != signal.SIGKILL:
            return None
        what = memory.killed_for_memory(self._kills)
        return None if what is None else memory.refusal(what, f"for the job {self._kind}", self._spec)

    def _killed(self) -> TargetError:
        status = self._status
        how = "was killed twice"
        hint = f"look at dmesg for the kernel's out-of-memory killer, and at {self._path('log.txt')}"
        if status is not None and os.WIFSIGNALED(status):
            ended_by = signal.Signals(os.WTERMSIG(status))
            how = f"was killed twice, the last time by {ended_by.name}"
            if ended_by == signal.SIGILL:
                hint = "the runtime was built for newer processors than this one"
            elif ended_by != signal.SIGKILL:
                hint = f"the whole story is in {self._path('log.txt')}"
        elif status is not None and os.WEXITSTATUS(status) > 1:
            number = os.WEXITSTATUS(status)
            return os_refusal(OSError(number, os.strerror(number), self._folder), self._folder)
        elif status is not None:
            how = f"ended twice without a result: {_last_line(self._path('log.txt'))}"
            hint = f"the whole story is in {self._path('log.txt')}"
        return TargetError(f"{self._kind} {how}", hint)


def _alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in _ENDED
    except (FileNotFoundError, ProcessLookupError):
        return False


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return  # it ended by itself meanwhile, which is what was wanted


def _last_line(path: str) -> str:
    """The decisive line of a log: the last one that is not blank."""
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            lines = [line.strip() for line in log if line.strip()]
    except FileNotFoundError:
        return "its log is gone"
    return lines[-1] if lines else "it said nothing"
