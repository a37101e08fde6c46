"""What Windows lends to WSL, the libraries of its driver, and what of it is none of ours, its disks."""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any, Dict, List, MutableMapping

from .box import Box, mount_of, mounts

LIBRARIES = "/usr/lib/wsl/lib"
LIBCUDA = LIBRARIES + "/libcuda.so.1"
# Interactive shells have its folder on PATH, commands over SSH and services do not.
SMI = LIBRARIES + "/nvidia-smi"
LOADER_CACHE = "/etc/ld.so.cache"
_CACHE_LIMIT = 64 << 20
# A library stands behind those that it needs.
LENT = ("libdxcore.so", "libcuda.so.1", "libnvidia-ml.so.1")
# Types of mounts that are folders of Windows; what it lends of its driver is one too, and lies below this.
SHARED = ("drvfs", "9p", "virtiofs")
_LENT_FOLDER = "/usr/lib/wsl/"
# Where WSL mounts disks unless wsl.conf says otherwise.
_DISK = re.compile(r"/mnt/[A-Za-z](/|$)")


def around(box: Box) -> bool:
    """Whether the kernel is the one that Windows runs for WSL."""
    try:
        return "microsoft" in box.text("/proc/sys/kernel/osrelease").lower()
    except OSError:
        return False


def on_a_disk(path: str, table: List[Dict[str, Any]]) -> bool:
    """Whether a path, links followed, lies on a disk of Windows; asked in WSL only."""
    if _DISK.match(path):
        return True
    mount = mount_of(path, table)
    return mount is not None and mount["fs"] in SHARED and not path.startswith(_LENT_FOLDER)


def linux_path(path: str, box: Box) -> str:
    """A search path without the folders of Windows' disks, which WSL adds; elsewhere as it was.

    A python3, nvcc or cmake that Windows has is not this system's.
    """
    if not around(box):
        return path
    table = mounts(box)
    kept = [folder for folder in path.split(":") if not on_a_disk(_real(box, folder), table)]
    return ":".join(kept) or os.defpath


def hidden_from_programs(box: Box) -> bool:
    """Whether Windows lends the driver's libraries, and the loader does not know where.

    WSL tells it, unless wsl.conf says `ldconfig = false`.
    """
    if not (around(box) and box.there(LIBCUDA)):
        return False
    try:
        return LIBCUDA.encode() + b"\0" not in box.read(LOADER_CACHE, _CACHE_LIMIT)
    except OSError:
        return True


def settle(environ: MutableMapping[str, str], box: Box) -> None:
    """Have whoever is started with these variables find Linux' programs, and what Windows lends."""
    if not around(box):
        return
    if "PATH" in environ:
        environ["PATH"] = linux_path(environ["PATH"], box)
    folders = [folder for folder in environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    if hidden_from_programs(box) and LIBRARIES not in folders:
        environ["LD_LIBRARY_PATH"] = ":".join([*folders, LIBRARIES])


def preload(box: Box) -> List[str]:
    """Load what Windows lends into this process, where the loader would not find it; what did not load.

    Whoever asks for a library of that name later gets the one that is loaded: variables of the loader are
    read when a process starts, and this one has.
    """
    failed = []
    for name in LENT if hidden_from_programs(box) else ():
        path = "%s/%s" % (LIBRARIES, name)
        if box.there(path):
            try:
                ctypes.CDLL(box.path(path))
            except OSError as error:
                failed.append(str(error))
    return failed


def _real(box: Box, folder: str) -> str:
    return os.path.realpath(folder) if box.live else folder
