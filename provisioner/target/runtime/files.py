"""Files that are whole or absent, digests, and what an operating system's refusal means to a user."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from typing import Any, Callable, Dict, Iterable, List, Optional

from ..errors import TargetError

_BLOCK = 1 << 20

# What a file system says that has no second names for a file, or not here.
LINK_REFUSED = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP)

_OS_HINTS = {
    errno.ENOSPC: "free some disk space there, then run again: what is complete is kept",
    errno.EDQUOT: "raise the quota or free some space there, then run again: what is complete is kept",
    errno.EROFS: "that file system is mounted read-only: remount it or choose another folder",
    errno.EACCES: "run with sudo, or choose a folder this user may write to",
    errno.EPERM: "run with sudo, or choose a folder this user may write to",
    errno.EIO: "the disk fails: look at dmesg and replace it",
}


def write_json(path: str, value: Any) -> None:
    """Writes JSON as `write_text` does."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def write_text(path: str, text: str) -> None:
    """Writes so that a reader, or a power cut, meets the old text or the new one and nothing between."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)


def read_json(path: str) -> Optional[Dict[str, Any]]:
    """The document, or None when it is absent or damaged: both mean that it says nothing."""
    try:
        with open(path, encoding="utf-8") as source:
            value = json.load(source)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def digest_of(value: Any) -> str:
    """SHA-256 of plain data, independent of the order of its keys."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: str, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file, in hexadecimal; `on_bytes` hears the length of each block read."""
    digest = hashlib.sha256()
    with open(path, "rb") as source:
        for block in iter(lambda: source.read(_BLOCK), b""):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


def names_below(folder: str) -> List[str]:
    """The names, relative, of the files in a folder; hidden ones are somebody's bookkeeping."""
    names = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names += [
            os.path.relpath(os.path.join(base, name), folder)
            for name in sorted(files)
            if not name.startswith(".")
        ]
    return names


def existing_parent(path: str) -> str:
    """The nearest folder on the way to `path` that is there now."""
    path = os.path.abspath(path)
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """What this user may still write on the file system that `path` is, or would be, on."""
    stat = os.statvfs(existing_parent(path))
    return stat.f_bavail * stat.f_frsize


def require_space(
    needs: Iterable[Any], keep: int = 64 << 20, instead: str = ", or choose another folder"
) -> None:
    """Refuses before the first byte when a file system has not room for the sum of `needs`: [(path, bytes)].

    `keep` bytes a file system stay free; `instead` is what else can be done about it.
    """
    by_device: Dict[int, Any] = {}
    for path, count in needs:
        parent = existing_parent(path)
        device = os.stat(parent).st_dev
        first, total = by_device.get(device, (path, 0))
        by_device[device] = (first, total + count)
    for path, total in by_device.values():
        free = free_bytes(path)
        if total and total + keep > free:
            raise TargetError(
                f"{path}: {size_text(total)} are needed and {size_text(free)} are free",
                f"free {size_text(total + keep - free)} on that file system{instead}",
            )


def size_text(count: float) -> str:
    """Bytes in the unit that people read: "253 MB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.0f} {unit}" if count >= 10 * size else f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def os_refusal(error: OSError, where: str) -> TargetError:
    """The operating system's no, in a line, with what helps."""
    name = error.filename if isinstance(error.filename, str) else where
    return TargetError(f"{name}: {error.strerror or error}", _OS_HINTS.get(error.errno or 0))
