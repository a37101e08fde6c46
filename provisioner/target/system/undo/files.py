"""Files, links and folders as they were."""

from __future__ import annotations

import os
import shutil
import stat
from typing import Any, Dict, Iterable, List, Optional, Set

from ...errors import TargetError
from ...probe.keep import ADDED, NOT_KEPT
from ...probe.observe import digest
from ...probe.receipt import sync
from ...runtime.files import os_refusal, size_text
from .record import Item, Record
from .steps import Kept, Step, Way, way

CHANGED = "it has been changed since"


def plain(observation: Dict[str, Any]) -> Dict[str, Any]:
    """An observation without what `begin` adds."""
    return {key: value for key, value in observation.items() if key not in ADDED}


def changed_since(item: Item, now: Dict[str, Any]) -> Optional[str]:
    """Why a thing is somebody else's by now; None while it is as the role left it."""
    if item.left is None or now == item.left:
        return None
    return "it has been removed since" if now["state"] == "absent" else CHANGED


def undo(record: Record, item: Item, now: Dict[str, Any], gone: Set[str]) -> Way:
    """The way back of a file, a link or a folder. `gone` are paths that will have gone by then."""
    path, then = str(item.resource["path"]), plain(item.then)
    if path in gone or now == then:
        return way()
    folder = "dir" in (now.get("type"), then.get("type"))
    if then["state"] == "absent" and now.get("type") == "dir":
        return _folder(item, path, gone)
    why = changed_since(item, now)
    if why is not None and not (folder and now["state"] == "present"):
        return Way([], [Kept(item.role, path, why)])
    if then["state"] == "absent":
        gone.add(path)
        return Way([Step(item.role, "remove " + path, size_of(path), lambda: remove(path))], [])
    back = _restore(record, item, path, now)
    return Way([], [Kept(item.role, path, back)]) if isinstance(back, str) else Way([back], [])


def _folder(item: Item, path: str, gone: Set[str]) -> Way:
    """A folder that was not there goes when nothing is left in it; with all there is when all is ours."""
    if item.resource.get("whole") is True:
        gone.add(path)
        return Way([Step(item.role, "remove " + path, size_of(path), lambda: remove(path))], [])
    left = [name for name in _names(path) if os.path.join(path, name) not in gone]
    if left:
        return Way([], [Kept(item.role, path, "it holds " + some(left))])
    gone.add(path)
    return Way([Step(item.role, "remove " + path, 0, lambda: remove_empty(path))], [])


def _restore(record: Record, item: Item, path: str, now: Dict[str, Any]) -> Any:
    """The step that makes it as it was, or why nobody can."""
    then, saved = item.then, os.path.join(record.saved, "files", str(item.then.get("sha256")))
    kind, what = then.get("type"), "put back %s as it was" % path
    if kind == "dir" and now["state"] == "present" and now.get("type") != "dir":
        return CHANGED
    if kind == "dir":
        return Step(item.role, what, 0, lambda: _own_folder(path, then))
    if kind == "link":
        return Step(item.role, what, 0, lambda: _link(path, then))
    if kind != "file":
        return "it was neither a file, a folder nor a link"
    if now.get("sha256") == then.get("sha256") and "sha256" in then and now.get("type") == "file":
        return Step(item.role, what, 0, lambda: _own(path, then))
    if then.get("content") == NOT_KEPT:
        return "it was larger than %s, and its content was not kept" % size_text(16 << 20)
    if not os.path.isfile(saved) or digest(saved) != then.get("sha256"):
        return "its content as it was is not kept"
    return Step(item.role, what, 0, lambda: _content(path, saved, then))


def _content(path: str, saved: str, then: Dict[str, Any]) -> None:
    temporary = "%s.provision-new" % path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as copy:
        with open(saved, "rb") as source:
            shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    _own(temporary, then)
    os.rename(temporary, path)
    sync(os.path.dirname(path))


def _link(path: str, then: Dict[str, Any]) -> None:
    temporary = "%s.provision-new" % path
    remove(temporary)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(str(then["target"]), temporary)
    if os.geteuid() == 0:
        os.lchown(temporary, int(then["owner"]), int(then.get("group", -1)))
    os.rename(temporary, path)
    sync(os.path.dirname(path))


def _own_folder(path: str, then: Dict[str, Any]) -> None:
    os.makedirs(path, exist_ok=True)
    _own(path, then)


def _own(path: str, then: Dict[str, Any]) -> None:
    """Owner first: changing it takes bits off the mode."""
    seen = os.stat(path)
    if (seen.st_uid, seen.st_gid) != (then["owner"], then.get("group", seen.st_gid)):
        os.chown(path, int(then["owner"]), int(then.get("group", -1)))
    os.chmod(path, int(str(then["mode"]), 8))


def remove(path: str) -> None:
    """Remove a file, a link, or a folder with all that is in it; one that is not there has gone already."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        else:
            return
        sync(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise os_refusal(error, path) from error


def remove_empty(path: str) -> None:
    """Remove a folder that has nothing in it. Raises TargetError when somebody has put something there."""
    try:
        os.rmdir(path)
        sync(os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise TargetError(
            "%s cannot be removed: %s" % (path, error.strerror), "see what is in it, then run again"
        ) from error


def size_of(path: str) -> int:
    """The bytes that become free when a path goes: what its files take on the disk, each once."""
    try:
        top = os.lstat(path)
    except OSError:
        return 0
    if not stat.S_ISDIR(top.st_mode):
        return top.st_blocks * 512 if top.st_nlink == 1 else 0
    total, seen, todo = 0, set(), [path]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        todo.append(entry.path)
                    elif found.st_ino not in seen:
                        seen.add(found.st_ino)
                        total += found.st_blocks * 512
        except OSError:
            # Gone meanwhile, or not ours to read: a size is for reading, nothing hangs on it.
            continue
    return total


def some(names: Iterable[str]) -> str:
    """The first three of these, and how many more there are."""
    all_of: List[str] = sorted(names)
    more = " and %d more" % (len(all_of) - 3) if len(all_of) > 3 else ""
    return ", ".join(all_of[:3]) + more


def _names(path: str) -> List[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
