"""Small looks at folders, links and files that may well be absent: then they say nothing."""

from __future__ import annotations

import os
from typing import List, Optional

from ..box import Box

# Links on the way to a file: more is a loop.
HOPS = 40


def names_in(box: Box, folder: str) -> List[str]:
    """Names in a folder, in order; none when it cannot be listed."""
    try:
        return sorted(os.listdir(box.path(folder)))
    except OSError:
        return []


def text_of(box: Box, path: str, limit: int = 1 << 20) -> str:
    """The beginning of a file as text; "" when it cannot be read."""
    try:
        return box.read(path, limit).decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def resolve(box: Box, path: str) -> Optional[str]:
    """Where a path leads, links followed inside the box; None when that is nowhere, or a loop."""
    done, todo, hops = "", [step for step in path.split("/") if step], 0
    while todo:
        step = todo.pop(0)
        if step == ".":
            continue
        if step == "..":
            done = os.path.dirname(done).rstrip("/")
            continue
        here = done + "/" + step
        try:
            target = os.readlink(box.path(here))
        except OSError:
            if not box.there(here):
                return None
            done = here
            continue
        hops += 1
        if hops > HOPS:
            return None
        if target.startswith("/"):
            done = ""
        todo = [one for one in target.split("/") if one] + todo
    return done or "/"
