"""How much room there is where things will lie."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from . import windows
from .box import Box, mount_of, reason


def disks(box: Box, paths: List[str], mounts: List[Dict[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """`Facts.disks`: for each path the file system that its nearest existing parent is on, in bytes."""
    if not box.live:
        box.missing("disks", "a recorded tree has no free space to measure")
        return {}
    found, in_wsl = {}, windows.around(box)
    for path in paths:
        parent = existing(path)
        try:
            size = os.statvfs(parent)
        except OSError as error:
            box.missing("disks." + path, reason(error, parent))
            continue
        found[path] = {
            "total_bytes": size.f_blocks * size.f_frsize,
            "free_bytes": size.f_bavail * size.f_frsize,
            "fs": file_system(os.path.realpath(parent), mounts),
            "windows": in_wsl and windows.on_a_disk(os.path.realpath(parent), mounts),
        }
    return found


def existing(path: str) -> str:
    """The nearest parent of an absolute path that is there, or the path itself."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def file_system(path: str, mounts: List[Dict[str, Any]]) -> str:
    """Type of the file system a path is on."""
    mount = mount_of(path, mounts)
    return mount["fs"] if mount else ""
