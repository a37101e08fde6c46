"""Plain assertions about a finished box: what a role's state.yml says, checked without the role's help."""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..errors import TargetError
from . import windows
from .box import MISSING, Box, clean
from .observe import Observer, digest, type_of

TIMEOUT = 60.0
# How much of a file `contains` looks at.
CONTAINS_LIMIT = 1 << 20
LINE = 200
# ok (None: could not be told) and what was seen, in one line
Verdict = Tuple[Optional[bool], str]


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"results": [{"id", "ok", "observed"}]}` in the order asked; TargetError for a senseless assertion."""
    assertions = request.get("assertions")
    if not isinstance(assertions, list):
        raise TargetError("the assertions are not a list")
    observer = Observer(Box())
    windows.settle(os.environ, observer.box)
    planned = [(assertion, kind_of(assertion)) for assertion in assertions]
    results = []
    for assertion, kind in planned:
        ok, observed = KINDS[kind][0](observer, assertion)
        results.append({"id": assertion["id"], "ok": ok, "observed": one_line(observed)})
    return {"results": results}


def kind_of(assertion: Any) -> str:
    """command, file, package or account; raises TargetError for an assertion that could never be checked."""
    identity = assertion.get("id") if isinstance(assertion, dict) else None
    if not isinstance(identity, str) or not identity:
        raise TargetError("an assertion has no id: %.80r" % (assertion,))
    kinds = [kind for kind in KINDS if kind in assertion]
    if len(kinds) != 1:
        raise TargetError("assertion %s needs one of %s" % (identity, ", ".join(KINDS)))
    allowed = {"id", "what", kinds[0], *KINDS[kinds[0]][1]}
    for key in assertion:
        if key not in allowed:
            raise TargetError("assertion %s: %s does not belong to %s" % (identity, key, kinds[0]))
    return kinds[0]


def command(_observer: Observer, assertion: Dict[str, Any]) -> Verdict:
    """The program ends with `rc` (0) and prints what matches `stdout`, within `timeout` seconds (60)."""
    import signal
    import subprocess

    argv, rc = assertion["command"], assertion.get("rc", 0)
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        raise TargetError("assertion %s: command is not a list of words" % assertion["id"])
    timeout = assertion.get("timeout", TIMEOUT)
    if not isinstance(timeout, (int, float)) or timeout <= 0:
        raise TargetError("assertion %s: timeout is not a number of seconds" % assertion["id"])
    pattern = compiled(assertion, "stdout", assertion.get("stdout"))
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        why = "%s: %s" % (argv[0], error.strerror)
        return (False, why) if error.errno in MISSING else (None, why)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # The whole session: a child that kept the pipe open would keep the wait below from ending.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, "%s did not end within %g s" % (argv[0], timeout)
    printed = out.decode("utf-8", "backslashreplace")
    if process.returncode != rc:
        said = err.decode("utf-8", "backslashreplace").strip() or printed.strip()
        last = said.splitlines()[-1] if said else "nothing printed"
        return False, "rc %d: %s" % (process.returncode, last)
    if pattern is not None and not pattern.search(printed):
        return False, "printed %r" % printed.strip()
    return True, printed.strip().split("\n")[0] or "rc %d" % rc


def file(observer: Observer, assertion: Dict[str, Any]) -> Verdict:
    """`path` is there, of `type` and `mode`, `contains` a match, has `sha256`.

    Links count as what they lead to, unless the type asked for is link.
    """
    asked = assertion["file"]
    if not isinstance(asked, dict) or not isinstance(asked.get("path"), str):
        raise TargetError("assertion %s: file has no path" % assertion["id"])
    for key in asked:
        if key not in ("path", "type", "mode", "contains", "sha256"):
            raise TargetError("assertion %s: a file has no %s" % (assertion["id"], key))
    pattern = compiled(assertion, "contains", asked.get("contains"))
    path = observer.box.path(asked["path"])
    try:
        found = os.lstat(path) if asked.get("type") == "link" else os.stat(path)
        for differs in (
            differing("type", asked.get("type"), type_of(found.st_mode)),
            differing("mode", mode_text(asked.get("mode")), "%04o" % stat.S_IMODE(found.st_mode)),
            differing("sha256", asked.get("sha256"), digest(path)) if "sha256" in asked else None,
        ):
            if differs:
                return False, differs
        if pattern is not None:
            text = observer.box.read(asked["path"], CONTAINS_LIMIT).decode("utf-8", "backslashreplace")
            if not pattern.search(text):
                return False, "%s has no match of %s" % (asked["path"], pattern.pattern)
    except OSError as error:
        why = "%s: %s" % (asked["path"], error.strerror or error)
        return (False, why) if error.errno in MISSING else (None, why)
    return True, "%s, %s, mode %04o" % (asked["path"], type_of(found.st_mode), stat.S_IMODE(found.st_mode))


def differing(what: str, wanted: Any, seen: str) -> Optional[str]:
    """How a property differs from the one asked for; None when it does not, or was not asked for."""
    return None if wanted is None or wanted == seen else "%s is %s, not %s" % (what, seen, wanted)


def mode_text(mode: Any) -> Any:
    """A mode as four octal digits: YAML authors write "644" too, and 0644 reads as the number 420."""
    if isinstance(mode, int):
        return "%04o" % mode
    return mode.rjust(4, "0") if isinstance(mode, str) else mode


def package(observer: Observer, assertion: Dict[str, Any]) -> Verdict:
    """The package is installed, and wholly so."""
    name = assertion["package"]
    seen = observer.observe({"kind": "package", "name": name})
    if seen["state"] == "present":
        status = seen.get("status")
        return not status, "%s %s%s" % (name, seen["version"], " is " + status if status else "")
    return told(seen, "%s is not installed" % name)


def account(observer: Observer, assertion: Dict[str, Any]) -> Verdict:
    """The account is there."""
    name = assertion["account"]
    seen = observer.observe({"kind": "account", "name": name})
    if seen["state"] == "present":
        return True, "%s, uid %d, home %s" % (name, seen["uid"], seen["home"])
    return told(seen, "no account %s" % name)


def told(seen: Dict[str, Any], absent: str) -> Verdict:
    """The verdict on what is not present: False when absent, None when unknown."""
    return (False, absent) if seen["state"] == "absent" else (None, str(seen["why"]))


def compiled(assertion: Dict[str, Any], key: str, pattern: Any) -> Optional["re.Pattern[str]"]:
    """A regular expression of an assertion (^ and $ match at lines); raises TargetError for a broken one."""
    if pattern is None:
        return None
    try:
        return re.compile(pattern, re.MULTILINE)
    except (re.error, TypeError) as error:
        raise TargetError("assertion %s: %s: %s" % (assertion["id"], key, error)) from error


def one_line(text: str) -> str:
    """What was seen, for a table: one line, at most 200 characters, none that a terminal would act on."""
    line = clean(" ".join(text.split()))
    line = "".join(char if char.isprintable() else "\\x%02x" % ord(char) for char in line)
    return line if len(line) <= LINE else line[: LINE - 1] + "…"


Check = Callable[[Observer, Dict[str, Any]], Verdict]
# What checks a kind of assertion, and the keys that go with it.
KINDS: Dict[str, Tuple[Check, List[str]]] = {
    "command": (command, ["stdout", "rc", "timeout"]),
    "file": (file, []),
    "package": (package, []),
    "account": (account, []),
}
