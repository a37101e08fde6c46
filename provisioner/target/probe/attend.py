"""The attendant: holds a box's run lock for as long as the controller lives, and reports on its jobs.

Its standard input is the controller's end of the connection. When that closes, or brings nothing for too
long, this process ends, and the kernel frees an flock with the process that held it.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import time
from typing import Any, Callable, Dict, Iterator, Optional

from ..errors import TargetError
from ..locks import is_held

POLL_SECONDS = 0.5
LOCK = "run.lock"
# A job has no deadline: nobody knows how long a build takes. One that stands still is spoken of this often.
STILL_SECONDS = 180.0


def main(request: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """`{"lock": "held"}`, then `{"progress": …}` until stdin ends; or one `{"lock": "busy", "holder"}`."""
    return attend(request["state"], request["holder"], gone(0, request.get("silence")))


def attend(
    state: str,
    holder: Dict[str, Any],
    ended: Callable[[float], bool],
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Dict[str, Any]]:
    """`ended(seconds)` waits that long at most and says whether the controller has gone."""
    lock = _open_lock(state)
    try:
        if not _take(lock):
            yield {"lock": "busy", "holder": _read_holder(lock)}
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _write_holder(lock, dict(holder, since=since, pid=os.getpid()))
        yield {"lock": "held"}
        yield from _progress(os.path.join(state, "jobs"), ended, now)
        _write_holder(lock, None)
    finally:
        os.close(lock)


def holder_of(state: str) -> Optional[Dict[str, Any]]:
    """Who holds the run lock: the JSON they left there, `{}` if that cannot be read, None if it is free."""
    try:
        lock = os.open(os.path.join(state, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return {}
    try:
        # A shared lock on a free file succeeds, and is gone with the descriptor an instant later.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(lock)
    finally:
        os.close(lock)
    return None


def _open_lock(state: str) -> int:
    path = os.path.join(state, LOCK)
    try:
        _make_folder(state)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        # Whoever may read it could hold it shared for as long as they like, and stop every run.
        os.fchmod(lock, 0o600)
    except OSError as error:
        raise TargetError(
            "cannot write %s: %s" % (path, error.strerror),
            "run with root (or sudo) for the system's places, or with --scope user for your own",
        ) from error
    return lock


def _make_folder(path: str) -> None:
    if os.path.isdir(path):
        return
    _make_folder(os.path.dirname(path))
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    # Others on the box read receipts; a strict umask must not hide them.
    os.chmod(path, 0o755)  # noqa: S103


def _take(lock: int) -> bool:
    # A probe that looks whether the lock is free holds it shared for an instant: look again.
    for attempt in range(3):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02 * attempt)
        else:
            return True
    return False


def _read_holder(lock: int) -> Dict[str, Any]:
    try:
        found = json.loads(os.pread(lock, 65536, 0).decode("utf-8") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write_holder(lock: int, holder: Optional[Dict[str, Any]]) -> None:
    text = json.dumps(holder).encode() + b"\n" if holder else b""
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def _progress(
    jobs: str, ended: Callable[[float], bool], now: Callable[[], float]
) -> Iterator[Dict[str, Any]]:
    seen: Dict[str, str] = {}
    still: Dict[str, _Still] = {}
    first = True
    while True:
        for path, text in _progress_files(jobs):
            if seen.get(path) != text:
                seen[path] = text
                # What lay there before this run is history, not progress.
                if not first:
                    yield {"progress": json.loads(text)}
            seconds = still.setdefault(path, _Still(now())).since(text, now())
            # A job that has ended may be still for ever.
            if seconds and is_held(os.path.join(os.path.dirname(path), "lock")):
                log = os.path.join(os.path.dirname(path), "log.txt")
                yield {
                    "progress": dict(json.loads(text), rate=None, eta_s=None, still_s=seconds, log=log),
                }
        first = False
        if ended(POLL_SECONDS):
            return


class _Still:
    """For how long a job has said nothing new."""

    def __init__(self, now: float) -> None:
        self._news: Any = None
        self._moved, self._told = now, now

    def since(self, text: str, now: float) -> Optional[float]:
        """Seconds since the last news, when it is time to speak of it (again); else None."""
        value = json.loads(text)
        # A job may say the same again and again: only a phase and its bytes are news.
        news = [value.get(key) for key in ("phase", "done_bytes")] if isinstance(value, dict) else value
        if news != self._news:
            self._news, self._moved, self._told = news, now, now
        if now - self._told < STILL_SECONDS:
            return None
        self._told = now
        return round(now - self._moved, 1)


def _progress_files(jobs: str) -> Iterator["tuple[str, str]"]:
    try:
        names = sorted(os.listdir(jobs))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(jobs, name, "progress.json")
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            json.loads(text)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            # Not a job, not started yet, or between two writes: the next look will tell.
            continue
        yield path, text


def gone(descriptor: int, silence: Optional[float]) -> Callable[[float], bool]:
    """A function that waits some seconds and says whether the controller has gone.

    It has when its end of the connection is closed, and when nothing came from it for `silence` seconds: a
    network that just stops closes nothing.
    """
    heard = [time.monotonic()]

    def ended(seconds: float) -> bool:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        if ready:
            heard[0] = time.monotonic()
            return not os.read(descriptor, 4096)
        return silence is not None and time.monotonic() - heard[0] > silence

    return ended
