"""What `begin` keeps of a resource beyond its observation, so that it can be put back as it was.

Content of files goes to `<state>/saved/<role>/files/<sha256>`. Nobody but the owner of the state may look
there: what is replaced may be a file that only root could read.
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, Iterable, List, Set

from ..errors import TargetError
from .box import MISSING, Box
from .observe import HASH_LIMIT, Observer, digest
from .resource import Observation
from .settings import ALTERNATIVES

# What `begin` adds to an observation: no look compares it.
ADDED = ("group", "content", "choices")
NOT_KEPT = "not kept"


class Keeper:
    """Keeps what one role's resources were. `state` is the folder that holds the folder of receipts."""

    def __init__(self, state: str, role: str, observer: Observer, check: bool) -> None:
        self.folder = os.path.join(state, "saved", role, "files")
        self._observer, self._check = observer, check

    def look(self, known: Dict[str, Any]) -> Observation:
        """The observation of a resource, and what it takes to make it so again. Raises TargetError."""
        seen = self._observer.observe(known)
        if seen["state"] != "present":
            return seen
        if known["kind"] == "file":
            # A file that changes while it is copied is looked at again.
            for _ in range(3):
                if self._content(known["path"], seen):
                    break
                seen = self._observer.observe(known)
        if known["kind"] == "alternative":
            seen["choices"] = choices(self._observer.box, known["name"])
        return seen

    def _content(self, path: str, seen: Observation) -> bool:
        """Add to what was seen of a file; whether the content that is kept is the one that was seen."""
        try:
            seen["group"] = os.lstat(path).st_gid
            if seen["type"] != "file" or self._check:
                return True
            if "sha256" not in seen:
                seen["content"] = NOT_KEPT
                return True
            return os.path.isfile(os.path.join(self.folder, seen["sha256"])) or self._copy(
                path, seen["sha256"]
            )
        except OSError as error:
            if error.errno in MISSING:
                return False
            raise TargetError(
                "cannot keep %s as it is now: %s" % (path, error.strerror),
                "see that %s can be written and has room, then run again" % self.folder,
            ) from error

    def _copy(self, path: str, sha256: str) -> bool:
        private(os.path.dirname(self.folder))
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        temporary = os.path.join(self.folder, ".new")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy:
            with open(path, "rb") as source:
                shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
        if os.path.getsize(temporary) > HASH_LIMIT or digest(temporary) != sha256:
            os.unlink(temporary)
            return False
        os.rename(temporary, os.path.join(self.folder, sha256))
        return True


def private(folder: str) -> None:
    """Make a folder of saved things, and those above it as far as they are saved's, 0700."""
    state, role = os.path.split(folder)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for path in (state, folder) if role else (folder,):
        os.chmod(path, 0o700)


def forget(state: str, role: str, priors: Iterable[Observation]) -> None:
    """Content of files that nothing may be put back to any more goes."""
    folder = os.path.join(state, "saved", role, "files")
    if not os.path.isdir(folder):
        return
    needed: Set[str] = {str(prior.get("sha256")) for prior in priors}
    for name in os.listdir(folder):
        if name not in needed:
            os.unlink(os.path.join(folder, name))
    if not os.listdir(folder):
        os.rmdir(folder)


def choices(box: Box, name: str) -> List[str]:
    """The paths among which a name of update-alternatives may stand for one; [] when it has none.

    The file's form, as update-alternatives(1) writes it: mode, link, then pairs of a slave's name and link up
    to a blank line; then for each choice its path, its priority, and a line a slave; a blank line ends it.
    """
    for folder in ALTERNATIVES:
        try:
            lines = box.text("%s/%s" % (folder, name)).split("\n")
        except OSError as error:
            if error.errno in MISSING:
                continue
            raise
        blank = lines.index("") if "" in lines else len(lines)
        slaves = (blank - 2) // 2
        rest, found = lines[blank + 1 :], []
        while rest and rest[0]:
            found.append(rest[0])
            rest = rest[2 + slaves :]
        return found
    return []
