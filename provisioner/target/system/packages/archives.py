"""An archive of an installed package as it is now: from apt's cache, from its source, or packed again."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Callable, List, Optional

from ...errors import TargetError
from ...probe.box import Box
from ...runtime.process import Done
from . import apt_output, repack
from .base import Package

CACHE = "/var/cache/apt/archives"
Tool = Callable[..., Done]


def save(tool: Tool, box: Box, name: str, package: Package, folder: str) -> str:
    """The file name, in `folder`, of a whole archive of a package. Raises TargetError when there is none."""
    wanted = apt_output.archive_name(name, package)
    into = os.path.join(folder, wanted)
    if os.path.isfile(into) and is_of(tool, into, name, package):
        return wanted
    work = tempfile.mkdtemp(prefix=".work-", dir=folder)
    try:
        found = (
            _cached(tool, box, name, package, work)
            or _fetched(tool, name, package, work)
            or _packed(tool, box, name, package, work)
        )
        if found is None:
            raise TargetError(
                "%s %s would be replaced, and no copy of it can be saved: apt has none, and it cannot be"
                " packed again" % (name, package.version),
                "see the log for why (df -h, dpkg --verify %s), or remove it yourself, and run again" % name,
            )
        with open(found, "rb") as data:
            os.fsync(data.fileno())
        os.replace(found, into)
    finally:
        shutil.rmtree(work)
    return wanted


def is_of(tool: Tool, path: str, name: str, package: Package) -> bool:
    """Whether an archive is whole, and of that package in that version."""
    told = tool(["dpkg-deb", "--field", path, "Package", "Version", "Architecture"], shown=False)
    fields = dict(line.partition(": ")[::2] for line in told.lines)
    right = {
        "Package": name.partition(":")[0],
        "Version": package.version,
        "Architecture": package.arch,
    }
    return told.rc == 0 and fields == right and _whole(tool, path)


def _whole(tool: Tool, path: str) -> bool:
    """Reads all of its data; what is said of it goes nowhere."""
    return tool(["sh", "-c", 'dpkg-deb --fsys-tarfile "$0" >/dev/null', path]).rc == 0


def _cached(tool: Tool, box: Box, name: str, package: Package, work: str) -> Optional[str]:
    path = box.path(os.path.join(CACHE, apt_output.archive_name(name, package)))
    if not os.path.isfile(path):
        return None
    copy = os.path.join(work, "cached.deb")
    shutil.copyfile(path, copy)
    return copy if is_of(tool, copy, name, package) else None


def _fetched(tool: Tool, name: str, package: Package, work: str) -> Optional[str]:
    into = os.path.join(work, "fetched")
    os.mkdir(into)
    done = tool(["apt-get", "-q", "download", "%s=%s" % (name, package.version)], cwd=into)
    found = _archives_in(into)
    if done.rc or len(found) != 1:
        return None
    return found[0] if is_of(tool, found[0], name, package) else None


def _packed(tool: Tool, box: Box, name: str, package: Package, work: str) -> Optional[str]:
    path = os.path.join(work, "packed.deb")
    if not repack.pack(tool, box, name, package, os.path.join(work, "tree"), path):
        return None
    return path if is_of(tool, path, name, package) else None


def _archives_in(folder: str) -> List[str]:
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".deb"))
