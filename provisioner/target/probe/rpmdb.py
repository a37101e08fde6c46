"""rpm's package database as EL 9 and later keep it: SQLite, a package's header a blob."""

from __future__ import annotations

import contextlib
import os
import struct
from typing import Any, Dict, Iterator, List

from .box import Box

DATABASE = "/var/lib/rpm/rpmdb.sqlite"
LOCKED = "/etc/dnf/plugins/versionlock.list"
# Tags and types of a header: rpm's include/rpm/rpmtag.h.
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_INT32, _STRING, _I18N = 4, 6, 9
_ENTRY = struct.Struct(">iiii")
# More entries, or data, than the header of any package has.
_MOST, _LARGEST = 0x10000, 256 << 20


def there(box: Box) -> bool:
    """Whether packages are kept here."""
    return box.there(DATABASE)


def find(box: Box, name: str) -> Dict[str, Any]:
    """The observation of a package by name (or name:arch); the newest where several versions are there.

    Raises ValueError for a database that makes no sense, and OSError.
    """
    import sqlite3

    path = box.path(DATABASE)
    if not os.access(path, os.R_OK):
        raise PermissionError(13, "not readable", DATABASE)
    wanted, _, arch = name.partition(":")
    asked = "SELECT blob FROM Packages WHERE hnum IN (SELECT hnum FROM Name WHERE key = ?) ORDER BY hnum"
    try:
        asking = sqlite3.connect("file:%s?mode=ro" % path.replace("?", "%3f"), uri=True)
        with contextlib.closing(asking) as database:  # by itself it ends a transaction and stays open
            blobs = [row[0] for row in database.execute(asked, (wanted,))]
    except sqlite3.Error as error:
        raise ValueError("%s: %s" % (DATABASE, error)) from error
    found: List[Dict[str, Any]] = []
    for blob in blobs:
        seen = fields(blob)
        if not arch or seen.get("arch") == arch:
            found.append({"state": "present", "version": version(seen)})
    return found[-1] if found else {"state": "absent"}


def version(seen: Dict[str, str]) -> str:
    """As dnf writes it: an epoch of 0 is left out."""
    epoch = "" if seen.get("epoch", "0") == "0" else seen["epoch"] + ":"
    return "%s%s-%s" % (epoch, seen.get("version", ""), seen.get("release", ""))


def fields(blob: Any) -> Dict[str, str]:
    """name, version, release, epoch and arch of a header. Raises ValueError."""
    wanted = {_NAME: "name", _VERSION: "version", _RELEASE: "release", _EPOCH: "epoch", _ARCH: "arch"}
    found = {}
    for tag, kind, data in entries(blob):
        if tag not in wanted:
            continue
        if kind in (_STRING, _I18N):
            text = data.partition(b"\0")[0].decode("utf-8", "backslashreplace")
        elif kind == _INT32 and len(data) >= 4:
            text = str(struct.unpack_from(">I", data)[0])
        else:
            raise ValueError("%s has a header that makes no sense" % DATABASE)
        found[wanted[tag]] = text
    return found


def entries(blob: Any) -> Iterator[Any]:
    """(tag, type, data from its start) of a header: an index, then the data that it points into."""
    if not isinstance(blob, bytes) or len(blob) < 8:
        raise ValueError("%s has a header that is cut off" % DATABASE)
    count, size = struct.unpack_from(">II", blob)
    start = 8 + count * _ENTRY.size
    if count > _MOST or size > _LARGEST or start + size > len(blob):
        raise ValueError("%s has a header that is cut off" % DATABASE)
    for number in range(count):
        tag, kind, offset, _ = _ENTRY.unpack_from(blob, 8 + number * _ENTRY.size)
        # The first entry is about the index itself, and points outside of what concerns us.
        if 0 <= offset < size:
            yield tag, kind, blob[start + offset : start + size]


def held(text: str) -> List[str]:
    """The names that `dnf versionlock` keeps; what it only shuts out (!) is not held."""
    names = []
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        name = "-".join(entry.split("-")[:-2])
        if name and not entry.startswith("!"):
            names.append(name)
    return names
