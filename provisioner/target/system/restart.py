"""Restarts this machine, tells one start of it from the next, and leaves what goes on after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Any, Dict, List, NoReturn, Optional

from ..errors import TargetError
from ..probe import windows
from ..probe.box import Box
from ..probe.start import identity
from ..runtime.detached import let_go
from ..runtime.files import os_refusal
from . import unit

# The answer to whoever asked is on its way before the machine goes down.
DELAY_S = 2.0
LOG = "restart.log"
# What `systemctl is-system-running` says while units are still being started.
STARTING = ("initializing", "starting")


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """By `do`:

    look: `{"boot": identity, "said": what an attempt to restart said, "starting": bool}`; needs no root.
    restart: goes down `delay` seconds after the answer, `{"boot"}`.
    continue: leaves a unit that runs `argv` once at the next start, as `user`, in `folder`, with
    `environment`; `{"unit": path}`.
    `state` is the state folder. Raises TargetError where the machine cannot be restarted from within.
    """
    do, state = request.get("do"), str(request.get("state") or "")
    if do == "look":
        return {"boot": identity(Box()), "said": _said(state), "starting": _starting()}
    if do == "continue":
        by_windows()
        try:
            return {"unit": unit.leave(request)}
        except OSError as error:
            raise os_refusal(error, unit.PATH) from error
    if do != "restart":
        raise TargetError("a restart is looked at, asked for or continued, not %.40r" % (do,))
    _restart(state, float(request.get("delay") or DELAY_S))
    return {"boot": identity(Box())}


def command() -> List[str]:
    """The program that restarts this machine. Raises TargetError where there is none."""
    by_windows()
    if os.path.isdir("/run/systemd/system"):
        return ["systemctl", "reboot"]
    for words in (["shutdown", "-r", "now"], ["reboot"]):
        if shutil.which(words[0], path=_path()):
            return words
    raise TargetError(
        "nothing here can restart the machine: neither systemd nor shutdown nor reboot",
        "restart it from outside, then run the same again",
    )


def by_windows() -> None:
    """Raise TargetError in WSL, which is ended and started from outside: `reboot` ends it at most."""
    if windows.around(Box()):
        raise TargetError("Windows restarts WSL, nothing inside does", "run `wsl --shutdown` in Windows")


def _path() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"


def _restart(state: str, delay: float) -> None:
    if os.geteuid() != 0:
        raise TargetError("only root restarts a machine", "log in as root, or as a user who may use sudo")
    words = command()
    log = os.path.join(state, LOG)
    try:
        os.makedirs(state, exist_ok=True)
        # An old complaint must not be taken for a new one.
        if os.path.lexists(log):
            os.unlink(log)
    except OSError as error:
        raise os_refusal(error, log) from error
    if os.fork() == 0:
        _go_down(words, log, delay)


def _go_down(words: List[str], log: str, delay: float) -> NoReturn:
    """The forked child, which outlives the connection: what the program says stays in the log."""
    try:
        let_go(log, [])
        time.sleep(delay)
        # What other programs have written must be there after it, also where the way down hangs.
        os.sync()
        os.execvpe(words[0], words, {**os.environ, "PATH": _path()})  # noqa: S606
    except OSError as error:
        print("%s: %s" % (words[0], error.strerror), flush=True)
    finally:
        os._exit(1)


def _said(state: str) -> str:
    """What an attempt to restart complained about; "" when it said nothing."""
    try:
        with open(os.path.join(state, LOG), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _starting() -> bool:
    """Whether the machine's services are still on their way up."""
    if not os.path.isdir("/run/systemd/system"):
        return False
    told: Optional[str] = None
    try:
        told = subprocess.run(
            ["systemctl", "is-system-running"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, universal_newlines=True, timeout=10, check=False,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return True
    return told in STARTING
