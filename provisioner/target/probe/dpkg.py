"""Debian's package database, read directly: one pass over one file for all packages."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Pattern

from .box import Box

STATUS = "/var/lib/dpkg/status"
LIMIT = 64 << 20
# States in which nothing of the package is there, or its configuration only.
GONE = (b"not-installed", b"config-files")


def read(box: Box) -> Dict[str, Dict[str, Any]]:
    """Observations by package name, and by name:arch. Raises OSError; ValueError for what is no status."""
    return parse(box.read(STATUS, LIMIT))


def parse(data: bytes) -> Dict[str, Dict[str, Any]]:
    """The packages of a status file that are there; `status` is set only on one that is not whole."""
    found: Dict[str, Dict[str, Any]] = {}
    for stanza in data.split(b"\n\n"):
        name = field(stanza, b"Package")
        state = field(stanza, b"Status").split()
        if not name or len(state) != 3:
            if stanza.strip():
                raise ValueError("%s has an entry without a package or a status" % STATUS)
            continue
        if state[2] in GONE:
            continue
        seen = {"state": "present", "version": text(field(stanza, b"Version"))}
        if state[2] != b"installed":
            seen["status"] = text(state[2])
        found.setdefault(text(name), seen)
        architecture = field(stanza, b"Architecture")
        if architecture:
            found[text(name + b":" + architecture)] = seen
    return found


def field(stanza: bytes, name: bytes) -> bytes:
    """The one-line value of a field; empty when it is not there."""
    head = name + b":"
    if stanza.startswith(head):
        start = len(head)
    else:
        start = stanza.find(b"\n" + head)
        if start < 0:
            return b""
        start += len(head) + 1
    end = stanza.find(b"\n", start)
    return stanza[start : end if end >= 0 else len(stanza)].strip()


def text(data: bytes) -> str:
    """Bytes as text; those that are no UTF-8 are shown escaped."""
    return data.decode("utf-8", "backslashreplace")


def stanzas(data: bytes, wanted: Pattern[bytes]) -> Iterator[bytes]:
    """The entries in which `wanted` matches, at C speed over a database of many megabytes.

    `wanted` matches within one line and starts with the newline before it, as a literal: what starts with a
    literal is looked for ten times as fast. `data` starts with a newline for it.
    """
    done = 0
    for match in wanted.finditer(data):
        if match.start() < done:
            continue  # in the entry that was given last
        start = data.rfind(b"\n\n", 0, match.start() + 1) + 2
        end = data.find(b"\n\n", match.end())
        done = end if end >= 0 else len(data)
        yield data[start if start >= 2 else 0 : done]
