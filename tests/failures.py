"""Which tests failed, by name and in a line each, as pytest's own JUnit file tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

# What a test says of a machine begins with the complaint and ends with the machine's last words.
HEAD, TAIL = 200, 600


def option(path: Path) -> str:
    """What makes pytest write the file; an older one goes, or a run that died would tell of another."""
    path.unlink(missing_ok=True)
    return f"--junitxml={path}"


def failed(path: Path) -> list[str]:
    """A line a failed test; empty where pytest wrote nothing, as its own words say more then."""
    return list(_lines(path)) if path.is_file() else []


def _lines(path: Path) -> Iterator[str]:
    # The file is our own pytest's.
    for case in ET.parse(path).getroot().iter("testcase"):
        for bad in (one for kind in ("failure", "error") for one in case.findall(kind)):
            why = " ".join(bad.get("message", "").split())
            yield _shortened(f"{case.get('classname')}::{case.get('name')}: {why}")


def _shortened(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} … {text[-TAIL:]}"
