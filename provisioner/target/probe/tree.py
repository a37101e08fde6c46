"""Fingerprints of a folder's entries, from names, sizes, times and modes: no content is read.

`by_top` gives one entry a top-level name, and `.` for the folder's own mode. Below a folder called site-
packages it gives one entry a name in there, called `site-packages/NAME` wherever that folder lies, so that
a changed package is called by its name. What is excluded is left out at every depth, `__pycache__` always
is: Python writes there when it likes. For the same reason a folder counts with its mode, never with its
time. Links are entries, never followed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Dict, Iterable, List

from .box import clean

ALWAYS_EXCLUDED = "__pycache__"
PACKAGES = "site-packages"
# Twice the longest chain that real trees show; beyond, a hostile one would only eat memory.
DEPTH = 200


def by_top(path: str, exclude: Iterable[str]) -> Dict[str, str]:
    """{entry: fingerprint}: 16 hex digits over the sorted list of (name, kind, size, mtime_ns, mode).

    Raises OSError naming the first thing that could not be read.
    """
    groups: Dict[str, List[bytes]] = {".": [b"%o" % os.stat(path).st_mode]}
    left_out = {ALWAYS_EXCLUDED, *exclude}
    # (folder, name below `path`, group it counts for; "" at the top, where every entry is its own)
    todo = [(path, "", "", 0)]
    while todo:
        folder, name, group, depth = todo.pop()
        if depth > DEPTH:
            raise OSError(0, "deeper than %d folders" % DEPTH, folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                base = entry.name
                if base in left_out:
                    continue
                below = name + base
                try:
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone since the folder was listed: as if it had gone before
                    continue
                mine = group + base if not group or group == SITE else group
                mode = seen.st_mode
                if stat.S_ISDIR(mode):
                    line = "%s\0d%o" % (below, mode)
                    # Names in site-packages are entries of their own; its own mode stays with its parent.
                    inner = SITE if base == PACKAGES else mine
                    todo.append((entry.path, below + "/", inner, depth + 1))
                elif stat.S_ISLNK(mode):
                    line = "%s\0l%s" % (below, os.readlink(entry.path))
                else:
                    line = "%s\0f%d,%d,%o" % (below, seen.st_size, seen.st_mtime_ns, mode)
                groups.setdefault(mine, []).append(os.fsencode(line))
    return {clean(key): fingerprint(lines) for key, lines in sorted(groups.items())}


SITE = PACKAGES + "/"


def fingerprint(lines: List[bytes]) -> str:
    """16 hex digits over the sorted lines."""
    lines.sort()
    return hashlib.sha256(b"\0\n".join(lines)).hexdigest()[:16]


def by_file(path: str, exclude: Iterable[str]) -> Dict[str, str]:
    """{name below the folder: "size:mtime_ns:inode"}, links as "link:TARGET". Raises OSError."""
    found: Dict[str, str] = {}
    left_out = {ALWAYS_EXCLUDED, *exclude}
    todo = [(path, "", 0)]
    while todo:
        folder, name, depth = todo.pop()
        if depth > DEPTH:
            raise OSError(0, "deeper than %d folders" % DEPTH, folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in left_out:
                    continue
                try:
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(seen.st_mode):
                    todo.append((entry.path, name + entry.name + "/", depth + 1))
                elif stat.S_ISLNK(seen.st_mode):
                    found[clean(name + entry.name)] = "link:" + clean(os.readlink(entry.path))
                else:
                    found[clean(name + entry.name)] = "%d:%d:%d" % (
                        seen.st_size,
                        seen.st_mtime_ns,
                        seen.st_ino,
                    )
    return dict(sorted(found.items()))
