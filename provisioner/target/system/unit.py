"""A systemd unit that runs one command line once, at the next start of the machine, and is gone by then."""

from __future__ import annotations

import os
import pwd
from typing import Any, Dict, List

from ..errors import TargetError

NAME = "provision-continue.service"
PATH = "/etc/systemd/system/" + NAME
WANTS = "/etc/systemd/system/multi-user.target.wants/" + NAME


def leave(request: Dict[str, Any]) -> str:
    """Write the unit and have it started at the next boot; its path. Raises TargetError, OSError."""
    if os.geteuid() != 0:
        raise TargetError("only root leaves a unit", "use sudo, or restart and run the same again")
    if not os.path.isdir("/run/systemd/system"):
        raise TargetError("no systemd runs here to go on after a restart", "restart, then run the same again")
    try:
        pwd.getpwnam(request["user"])
    except KeyError:
        raise TargetError("no such user: %s" % request["user"], "run as a user of this machine") from None
    for path in (os.path.dirname(PATH), os.path.dirname(WANTS)):
        os.makedirs(path, mode=0o755, exist_ok=True)
    temporary = PATH + ".new"
    # What the environment of a command line holds is nobody else's business.
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text(request["argv"], request["user"], request["folder"], request["environment"]))
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, PATH)
    if os.path.lexists(WANTS):
        os.unlink(WANTS)
    os.symlink(PATH, WANTS)
    return PATH


def text(argv: List[str], user: str, folder: str, environment: Dict[str, str]) -> str:
    """The unit. It removes itself before it runs, so that nothing can make it run twice."""
    lines = [
        "# Left by `provision up --reboot`: goes on after the restart, once.",
        "[Unit]",
        "Description=Go on with provision after the restart",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        "Type=exec",
        "User=" + plain(user),
        "WorkingDirectory=" + plain(folder),
        *("Environment=" + quoted("%s=%s" % item) for item in sorted(environment.items())),
        "ExecStartPre=+/bin/rm -f %s %s" % (PATH, WANTS),
        "ExecStart=" + " ".join(quoted(word).replace("$", "$$") for word in argv),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def plain(word: str) -> str:
    """A value that a unit takes as it is, but for its specifiers. Raises TargetError for line breaks."""
    if "\n" in word:
        raise TargetError("cannot carry a line break into a unit: %.60r" % word, "leave it out")
    return word.replace("%", "%%")


def quoted(word: str) -> str:
    """One word of a unit's line (systemd.syntax(7), systemd.service(5)): quoted, and no specifier in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"%s"' % escaped.replace("%", "%%")
