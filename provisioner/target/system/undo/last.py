"""The end of a way back: Python itself, and the tool's own notes.

It runs in a process of its own that has all it needs in memory, as what it runs on goes meanwhile, and that
lets go of the connection, as nobody could run it a second time where there is no Python any more.
"""

from __future__ import annotations

import fcntl
import json
import os
import traceback
from typing import Any, Callable, Dict, List, Optional

from ...errors import TargetError
from ...runtime import process
from ...runtime.detached import let_go
from ...runtime.files import os_refusal
from . import files, job, packages, plan, record
from .plan import Ask

LOG = "jobs/undo/last.txt"


def run(ask: Ask, work: Callable[[Ask], Dict[str, Any]]) -> Dict[str, Any]:
    """`work(ask)`'s answer, from a process that outlives us. Raises TargetError as it does."""
    _load()
    turn = _turn(ask.state)
    if turn is None:
        return {"left": []}
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.makedirs(os.path.dirname(os.path.join(ask.state, LOG)), exist_ok=True)
            let_go(os.path.join(ask.state, LOG), [writing, turn])
            process.inherited[:] = []
            _tell(writing, _ended(ask, work))
        finally:
            # Whatever happened, a forked child must not unwind into its parent's frames.
            os._exit(0)
    os.close(writing)
    os.close(turn)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    if not text:
        raise TargetError("what was to go last was killed", "run again; its log is %s/%s" % (ask.state, LOG))
    ended = json.loads(text.decode("utf-8"))
    if not ended["ok"]:
        raise TargetError(ended["error"], ended["hint"])
    value: Dict[str, Any] = ended["value"]
    return value


def _turn(state: str) -> Optional[int]:
    """A lock on the state folder itself, which goes with the folder; None when another has taken it away.

    Whose controller was killed works on to its end, and somebody may have begun again meanwhile.
    """
    while True:
        try:
            folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(folder), os.stat(state)):
                return folder
        except FileNotFoundError:
            pass
        os.close(folder)


def _ended(ask: Ask, work: Callable[[Ask], Dict[str, Any]]) -> Dict[str, Any]:
    try:
        return {"ok": True, "value": work(ask)}
    except TargetError as refusal:
        error = refusal
    except OSError as failure:
        traceback.print_exc()
        error = os_refusal(failure, ask.state)
    except Exception as crash:  # noqa: BLE001
        traceback.print_exc()
        error = TargetError("what goes last crashed: %r" % crash, "see %s/%s" % (ask.state, LOG))
    return {"ok": False, "error": error.message, "hint": error.hint}


def _tell(writing: int, answer: Dict[str, Any]) -> None:
    with os.fdopen(writing, "wb") as out:
        out.write(json.dumps(answer).encode("utf-8"))


def _load() -> None:
    """Load what is loaded only when it is used, while there is something to load it from."""
    import encodings.ascii
    import encodings.idna
    import encodings.latin_1
    import encodings.utf_8
    import fnmatch
    import grp
    import linecache
    import pwd
    import selectors
    import shutil
    import subprocess
    import tokenize

    loaded = (encodings, fnmatch, grp, linecache, pwd, selectors, shutil, subprocess, tokenize)
    assert all(loaded)


def work(ask: Ask) -> Dict[str, Any]:
    """Take off what Python stands on, then the tool's own notes; says what else lies among those."""
    there = record.roles_on(ask.state)
    if any(not ask.roles or role in ask.roles for role in there):
        whole = plan.make(ask)
        for one in whole.roles:
            if one.last and whole.manager is not None:
                packages.transact(whole.manager, ask.state, one.role, ask.to)
                job.finish(whole, one, ask)
        there = record.roles_on(ask.state)
    return {"left": sweep(ask.state) if not there and ask.to == record.PRIOR else []}


def sweep(state: str) -> List[str]:
    """Remove the tool's own notes, and folders that are empty then; gives what somebody else has put there.

    A folder that is a link or a mount is the administrator's, and stays.
    """
    for name in plan.OWN:
        files.remove(os.path.join(state, name))
    for path in (os.path.join(state, "models"), state):
        if os.path.isdir(path) and not os.path.islink(path) and not os.path.ismount(path):
            left = sorted(os.listdir(path))
            if left:
                return [os.path.join(path, name) for name in left]
            files.remove_empty(path)
    above = os.path.dirname(state)
    # Without root the three places share one folder, which carries our name.
    if os.path.basename(above) == "provisioner" and os.path.isdir(above) and not os.listdir(above):
        files.remove_empty(above)
    return []
