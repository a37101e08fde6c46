"""What was verified, beside the weights: the next run proves it by size, time and inode.

`manifest.json`: `{"schema": 1, "wanted", "source", "pinned", "files": [{"name", "size", "mtime_ns", "inode",
"sha256"}]}`. `wanted` is the digest of what was asked for; `pinned` is what that came to, such as a commit.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .files import digest_of, read_json, write_json

NAME = "manifest.json"


def read(folder: str) -> Optional[Dict[str, Any]]:
    """The manifest of a folder, or None when there is none that can be read."""
    return read_json(os.path.join(folder, NAME))


def write(
    spec: Mapping[str, Any], folder: str, entries: List[Dict[str, Any]], pinned: Dict[str, str]
) -> None:
    """Records verified files; the folder says from now on what is in it."""
    write_json(
        os.path.join(folder, NAME),
        {
            "schema": 1, "wanted": wanted(spec), "source": spec["sources"][0], "pinned": pinned,
            "files": entries,
        },
    )  # fmt: skip


def wanted(spec: Mapping[str, Any]) -> str:
    """The digest of what was asked for. Mirrors and options are ways to the same thing."""
    return digest_of({"source": spec["sources"][0], "files": spec.get("files") or []})


def entry(name: str, path: str, sha256: str) -> Dict[str, Any]:
    """The record of one verified file."""
    stat = os.stat(path)
    return {
        "name": name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino,
        "sha256": sha256,
    }  # fmt: skip


def doubt(folder: str, files: List[Dict[str, Any]]) -> Optional[str]:
    """Why the records do not vouch for what lies there; None when they do."""
    for item in files:
        if not vouches(item, folder):
            gone = _stat(os.path.join(folder, item["name"])) is None
            return f"{item['name']} {'is missing' if gone else 'was touched since it was checked'}"
    return None


def vouches(item: Dict[str, Any], folder: str) -> bool:
    """Whether the record of a file is of what lies there: by size, time and inode."""
    return _stat(os.path.join(folder, item["name"])) == (item["size"], item["mtime_ns"], item["inode"])


def vouched(folder: str) -> Dict[str, str]:
    """{sha256: path} of the files that are still as they were when they were verified."""
    files = (read(folder) or {}).get("files") or []
    return {item["sha256"]: os.path.join(folder, item["name"]) for item in files if vouches(item, folder)}


def pin_of(record: Mapping[str, Any], source: Mapping[str, Any]) -> Dict[str, str]:
    """What a record says that a source's repository was pinned to; {} for another repository."""
    pinned: Dict[str, str] = record.get("pinned") or {}
    same = (pinned.get("type"), pinned.get("repo")) == (source.get("type"), source.get("repo"))
    return pinned if same else {}


def _stat(path: str) -> Optional[Tuple[int, int, int]]:
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
