"""How a section says what it read, and why not: the plain JSON of provisioner/audit.py's Reading."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..box import MISSING, Box, Malformed, reason

# Sections take Malformed from here too: it is what their parsers raise.
__all__ = [
    "Malformed",
    "Reading",
    "absent",
    "chosen",
    "error",
    "from_file",
    "hidden",
    "not_applicable",
    "read",
    "word",
]

Reading = Dict[str, Any]


def read(value: Any, source: str, offset: Optional[int] = None) -> Reading:
    """A value that is there."""
    return _reading("read", value, "", source, offset)


def absent(why: str, source: str) -> Reading:
    """Looked for, with the right to see it, and not there."""
    return _reading("absent", None, why, source)


def hidden(why: str, source: str = "") -> Reading:
    """Kept from this process by the kernel or by missing rights."""
    return _reading("hidden", None, why, source)


def not_applicable(why: str, source: str = "") -> Reading:
    """A machine of this kind has none to show; `why` says where to look instead."""
    return _reading("not_applicable", None, why, source)


def error(why: str, source: str, offset: Optional[int] = None) -> Reading:
    """There, and senseless."""
    return _reading("error", None, why, source, offset)


def from_file(box: Box, path: str, parse: Callable[[bytes], Any], absent_means: str) -> Reading:
    """`parse` of a file's bytes. `absent_means`: what it says when the file is not there.

    `parse` raises Malformed (or ValueError, as int() does) for what makes no sense.
    """
    try:
        content = box.read(path)
    except OSError as failure:
        if failure.errno in MISSING:
            return absent(absent_means, path)
        return hidden(reason(failure, path), path)
    try:
        return read(parse(content), path)
    except (Malformed, ValueError) as wrong:
        return error(str(wrong), path)


def word(content: bytes) -> str:
    """A file of one line, as text; Malformed when it is empty."""
    text = content.decode("utf-8", "backslashreplace").strip()
    if not text:
        raise Malformed("it is empty")
    return text


def chosen(content: bytes) -> str:
    """The word in brackets, as the kernel marks the one in force of several."""
    text = word(content)
    start, end = text.find("["), text.find("]")
    if not 0 <= start < end:
        raise Malformed("no word of %.60r stands in brackets" % text)
    return text[start + 1 : end]


def _reading(state: str, value: Any, why: str, source: str, offset: Optional[int] = None) -> Reading:
    return {"state": state, "value": value, "why": why, "source": source, "offset": offset}
