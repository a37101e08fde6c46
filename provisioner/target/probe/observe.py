"""What a resource is right now. One small function a kind; nothing here raises or writes."""

from __future__ import annotations

import os
import stat
from typing import Any, Callable, Dict, Optional, Set

from . import settings
from .box import MISSING, Box, clean, reason
from .resource import ABSENT, Observation, WrongError, path_of, text_of, unknown

# Larger files are told apart by size and time: reading them would make every look at the box slow.
HASH_LIMIT = 16 << 20


def observe(resource: Any, root: str = "/") -> Observation:
    """One resource of docs/architecture.md, observed: `state` present, absent, or unknown with `why`."""
    return Observer(Box(root)).observe(resource)


class Observer:
    """Observes many resources of one box; the package database is parsed once."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.packages: Optional[Dict[str, Observation]] = None
        self.held: Optional[Set[bytes]] = None

    def observe(self, resource: Any) -> Observation:
        """The observation of one resource; a resource that makes no sense is unknown."""
        if not isinstance(resource, dict):
            return unknown("the resource is not an object")
        kind = resource.get("kind")
        read = KINDS.get(kind) if isinstance(kind, str) else None
        if read is None:
            return unknown("no such kind of resource: %.40r" % (kind,))
        try:
            return read(self, resource)
        except WrongError as error:
            return unknown(str(error))
        except OSError as error:
            if error.errno in MISSING:
                return dict(ABSENT)
            called = resource.get("path") or resource.get("name")
            path = error.filename if isinstance(error.filename, str) else str(called or kind)
            return unknown(clean(reason(error, path)))


def file(observer: Observer, resource: Dict[str, Any]) -> Observation:
    """type, mode, owner; sha256 of a file up to 16 MiB, size and mtime_ns of a larger; target of a link."""
    path = observer.box.path(path_of(resource))
    found = os.lstat(path)
    seen: Observation = {
        "state": "present",
        "type": type_of(found.st_mode),
        "mode": "%04o" % stat.S_IMODE(found.st_mode),
        "owner": found.st_uid,
    }
    if seen["type"] == "link":
        seen["target"] = clean(os.readlink(path))
    elif seen["type"] == "file":
        if found.st_size <= HASH_LIMIT:
            seen["sha256"] = digest(path)
        else:
            seen["size"], seen["mtime_ns"] = found.st_size, found.st_mtime_ns
    return seen


def type_of(mode: int) -> str:
    """file, dir, link, or other (pipes, sockets, devices)."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"


def digest(path: str) -> str:
    """sha256 of a file's content, in hex."""
    import hashlib

    total = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # A file that grows while it is read must not keep the probe: one part beyond the limit is enough.
        for _ in range((HASH_LIMIT >> 20) + 1):
            part = os.read(fd, 1 << 20)
            if not part:
                break
            total.update(part)
    finally:
        os.close(fd)
    return total.hexdigest()


def tree(observer: Observer, resource: Dict[str, Any]) -> Observation:
    """`entries` of a folder: see tree.py."""
    from . import tree as trees

    path, by, exclude = path_of(resource), resource.get("by", "top"), resource.get("exclude", [])
    if by not in ("top", "file"):
        raise WrongError("by is neither top nor file")
    if not isinstance(exclude, list) or not all(isinstance(name, str) for name in exclude):
        raise WrongError("exclude is not a list of names")
    read = trees.by_top if by == "top" else trees.by_file
    try:
        return {"state": "present", "entries": read(observer.box.path(path), exclude)}
    except NotADirectoryError:
        raise WrongError("%s is not a folder" % clean(path)) from None


def package(observer: Observer, resource: Dict[str, Any]) -> Observation:
    """`version` of an installed package, and `status` when its installation is not whole."""
    from . import dpkg

    name = text_of(resource, "name")
    if not observer.box.there(dpkg.STATUS):
        from . import rpmdb

        if rpmdb.there(observer.box):
            return _by_rpm(observer, name)
    if observer.packages is None:
        try:
            observer.packages = dpkg.read(observer.box)
        except OSError as error:
            return unknown("no package database: %s" % reason(error, dpkg.STATUS))
        except ValueError as error:
            return unknown(str(error))
    return dict(observer.packages.get(name, ABSENT))


def _by_rpm(observer: Observer, name: str) -> Observation:
    from . import rpmdb

    try:
        return rpmdb.find(observer.box, name)
    except ValueError as error:
        return unknown(str(error))


def account(observer: Observer, resource: Dict[str, Any]) -> Observation:
    """`uid`, `home` and `shell` of an account; `groups`: those of the parameter `groups` that it is in."""
    from . import users

    name, asked = text_of(resource, "name"), resource.get("groups")
    if asked is not None and not (isinstance(asked, list) and all(isinstance(one, str) for one in asked)):
        raise WrongError("groups is not a list of names")
    found = users.find(observer.box, name=name)
    if found is None:
        return dict(ABSENT)
    seen = {"state": "present", "uid": found["uid"], "home": found["home"], "shell": found["shell"]}
    if asked is not None:
        # What else somebody puts an account into is no drift of the role that made it.
        seen["groups"] = sorted(set(asked) & set(users.groups(observer.box, name)))
    return seen


def kernel(observer: Observer, _resource: Dict[str, Any]) -> Observation:
    """`release` of the running kernel."""
    release = observer.box.text("/proc/sys/kernel/osrelease").strip()
    return {"state": "present", "release": release} if release else unknown("the kernel names no release")


def driver(observer: Observer, _resource: Dict[str, Any]) -> Observation:
    """`version` of the loaded NVIDIA kernel module, None when none is loaded."""
    from . import gpus

    try:
        text = observer.box.text(gpus.VERSION)
    except OSError as error:
        if error.errno in MISSING:
            return {"state": "present", "version": None}
        raise
    version = gpus.parse_version(text)
    return {"state": "present", "version": version} if version else unknown("%s names none" % gpus.VERSION)


KINDS: Dict[str, Callable[[Observer, Dict[str, Any]], Observation]] = {
    "file": file,
    "tree": tree,
    "package": package,
    "account": account,
    "kernel": kernel,
    "driver": driver,
    "hold": settings.hold,
    "alternative": settings.alternative,
    "unit": settings.unit,
    "parameter": settings.parameter,
    "boot_option": settings.boot_option,
    "module": settings.module,
}
