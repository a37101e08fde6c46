"""Reading one machine, or the recorded tree of one, through the same few functions."""

from __future__ import annotations

import errno
import os
from typing import Any, Dict, List, Optional, Tuple

# More than any file that is parsed here may have: a hostile or endless one ends there.
LIMIT = 8 << 20
MISSING = (errno.ENOENT, errno.ENOTDIR)


class Malformed(Exception):  # noqa: N818 - a state of a table, not a failure of the program
    """A table, a variable or a register that is there and makes no sense; the text says what, and where."""


class Box:
    """One machine to read. `root` is "/" for the live one; `unknown` gathers what could not be read."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root)
        self.live = self.root == "/"
        self.unknown: List[Dict[str, str]] = []

    def path(self, path: str) -> str:
        """Where a path of the machine lies for this process. Raises OSError for what can be none: a word
        with a null byte, out of a file that lies.
        """
        if "\0" in path:
            raise FileNotFoundError(errno.ENOENT, "no name has a null byte", path)
        return path if self.live else self.root + path

    def read(self, path: str, limit: int = LIMIT) -> bytes:
        """The bytes of a regular file (or one of /proc and /sys), at most `limit`; raises OSError."""
        # O_NONBLOCK: opening a pipe somebody left in a file's place must not wait for a writer.
        fd = os.open(self.path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            parts = []
            while limit > 0:
                part = os.read(fd, min(limit, 1 << 18))
                if not part:
                    break
                parts.append(part)
                limit -= len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def text(self, path: str) -> str:
        """The same as text; bytes that are no UTF-8 are shown escaped. Raises OSError."""
        return self.read(path).decode("utf-8", "backslashreplace")

    def look(self, what: str, path: str) -> Optional[str]:
        """Text of a file that should be there; otherwise None, and an entry in `unknown`."""
        try:
            return self.text(path)
        except OSError as error:
            self.missing(what, reason(error, path))
            return None

    def peek(self, what: str, path: str) -> Optional[str]:
        """Text of a file that may well be absent; only a failure to read it is an entry in `unknown`."""
        try:
            return self.text(path)
        except OSError as error:
            if error.errno not in MISSING:
                self.missing(what, reason(error, path))
            return None

    def there(self, path: str) -> bool:
        """Whether something is at a path, links not followed."""
        return "\0" not in path and os.path.lexists(self.path(path))

    def missing(self, what: str, why: str) -> None:
        """Note that the fact `what` could not be read."""
        entry = {"what": what, "why": why}
        if entry not in self.unknown:
            self.unknown.append(entry)


def reason(error: OSError, path: str) -> str:
    """An OSError in a few words, with the path as the machine knows it."""
    return "%s: %s" % (path, error.strerror or error)


def clean(text: str) -> str:
    """A name that JSON and UTF-8 can carry: bytes that are no UTF-8 are shown escaped."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def mounts(box: Box) -> List[Dict[str, Any]]:
    """The mount table in order, or nothing: root (of the mounted tree), point, fs, source, options (of the
    file system), flags (of this mount), number (of its device).
    """
    text = box.peek("mounts", "/proc/self/mountinfo")
    found = []
    for line in (text or "").splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if dash and len(left) >= 6 and len(right) >= 2:
            options = right[2] if len(right) > 2 else ""
            found.append(
                {
                    "root": unescape(left[3]),
                    "point": unescape(left[4]),
                    "fs": right[0],
                    "source": unescape(right[1]),
                    "options": options.split(","),
                    "flags": left[5].split(","),
                    "number": left[2],
                }
            )
    return found


def mount_of(path: str, table: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """The mount that a path is on: the longest mount point over it, the last of equals."""
    best = None
    for mount in table:
        point = mount["point"].rstrip("/")
        over = (path + "/").startswith(point + "/")
        if over and (best is None or len(point) >= len(best["point"].rstrip("/"))):
            best = mount
    return best


def unescape(text: str) -> str:
    """Undo the octal escapes of the mount table (blank, tab, newline, backslash)."""
    if "\\" not in text:
        return text
    for code, char in ESCAPES:
        text = text.replace(code, char)
    return text


ESCAPES: Tuple[Tuple[str, str], ...] = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))
