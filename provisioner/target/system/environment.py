"""Variables in /etc/environment, which PAM gives to whoever logs in, without a shell too, and to cron's jobs.

It is no shell script: `NAME=value` or `NAME="value"` a line, nothing is expanded, and a later line wins. What
others wrote stays: a PATH that is there gets folders in front,
a variable of the same name its value.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..errors import TargetError
from ..runtime.files import os_refusal
from .command import FOLDERS, Host

FILE = "/etc/environment"
# Who has no PATH there gets one from elsewhere (login.defs, sshd), which this one replaces.
STANDARD = (*FOLDERS, "/usr/games", "/usr/local/games")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry `system.environment`: `{"variables": {name: value}, "folders": [for PATH], "check"}`."""
    changed = write(Host(), request["variables"], request["folders"], bool(request.get("check")))
    return {"changed": changed, "path": FILE}


def write(host: Host, variables: Mapping[str, str], folders: Sequence[str], check: bool = False) -> bool:
    """Have the variables in the file, and the folders in its PATH; whether that changes it."""
    path = os.path.realpath(host.box.path(FILE)) if host.box.live else host.box.path(FILE)
    try:
        before = _read(path)
        after = edited(before or "", variables, folders)
        if after == (before or ""):
            return False
        if not check:
            _replace(path, after)
    except OSError as error:
        raise os_refusal(error, FILE) from error
    return True


def edited(text: str, variables: Mapping[str, str], folders: Sequence[str]) -> str:
    """The file's text with these variables, and with these folders in its PATH. Raises TargetError for a
    name or a value that cannot stand there.
    """
    for name, value in variables.items():
        if not _NAME.fullmatch(name) or name == "PATH" or re.search(r"[\n\"'#\\]", value):
            raise TargetError(
                f"{name}={value} cannot stand in {FILE}", "take a path without quotes, # and backslashes"
            )
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if folders:
        _set(lines, "PATH", lambda old: ":".join(_joined(old, folders)))
    for name, value in variables.items():
        _set(lines, name, lambda _old, value=value: value)
    return "\n".join([*lines, ""]) if lines else ""


def _joined(old: Optional[str], folders: Sequence[str]) -> List[str]:
    there = list(STANDARD) if old is None else [part for part in old.split(":") if part]
    # In front: a compiler of the distribution, or of Windows, must not hide the one that was asked for.
    return [folder for folder in folders if folder not in there] + there


def _set(lines: List[str], name: str, make: Any) -> None:
    """The last line that gives the name a value gets the new one; where there is none, one is added."""
    pattern = re.compile(r"(\s*(?:export\s+)?" + name + r"\s*=\s*)(.*)", re.DOTALL)
    for number in range(len(lines) - 1, -1, -1):
        match = pattern.fullmatch(lines[number])
        if match is None:
            continue
        head, rest = match.groups()
        if rest.rstrip().endswith("\\"):
            raise TargetError(
                f"{FILE}: {name} goes on in the next line", "write it in one line, then run again"
            )
        old = value_of(rest)
        new = make(old)
        if new != old:
            lines[number] = f'{head}"{new}"'
        return
    lines.append(f'{name}="{make(None)}"')


def value_of(rest: str) -> str:
    """What stands behind the `=`, as pam_env reads it: no comment, no outer blanks, no pair of quotes."""
    value = rest.partition("#")[0].strip()
    if value[:1] in ('"', "'"):
        value = value[1:]
        if value[-1:] in ('"', "'"):
            value = value[:-1]
    return value


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as source:
            return source.read()
    except FileNotFoundError:
        return None


def _replace(path: str, text: str) -> None:
    """The old text or the new one, and nothing between; with the mode and the owner that it had."""
    temporary = f"{path}.provision"
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        try:
            had = os.stat(path)
            os.fchown(out.fileno(), had.st_uid, had.st_gid)
            os.fchmod(out.fileno(), stat.S_IMODE(had.st_mode))
        except FileNotFoundError:
            os.fchmod(out.fileno(), 0o644)
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)
