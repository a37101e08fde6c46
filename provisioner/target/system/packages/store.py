"""What a role's changes of packages replaced, in `<state>/saved/<role>/`; how it was before is never lost.

`before/` is a copy of the package manager's own state, made when a change begins and gone when it has ended.
`planned.json` says which packages that change concerns; before it is there, nothing
has been changed. `archives.json` says which archives lie in `archives/`, `packages.json` how each package was
before the first change of the role. Every file appears whole, and each step may be taken again: a power cut
anywhere costs nothing.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set

from ...errors import TargetError
from ...probe.receipt import ROLE, sync
from ...runtime.files import os_refusal, read_json, write_json
from .base import Change, Manager, Package

SCHEMA = 1


class Prior(NamedTuple):
    """How a package was; `version` None: it was not there, and `auto` is how the role left it. `archive` is
    the path of a saved archive.

    `remains`: its configuration was there though it was not. `left`: the version the role put in its place,
    "" where it put none there; None where nobody knows, or it matters to nobody.
    """

    arch: str
    version: Optional[str]
    auto: bool = False
    held: bool = False
    archive: Optional[str] = None
    remains: bool = False
    left: Optional[str] = None


class Store:
    """The saved packages of one role. `manager` says what is installed now, and makes archives."""

    def __init__(self, state: str, role: str, manager: Manager) -> None:
        if not ROLE.match(role) or not os.path.isabs(state):
            raise TargetError("no place for what %.60r replaces: %.60r" % (role, state))
        self.folder = os.path.join(state, "saved", role)
        self._manager = manager

    # --- while a change is under way ------------------------------------------------------------------------

    @property
    def under_way(self) -> bool:
        """Whether a change has begun and not ended."""
        return os.path.isdir(self._path("before")) and self._planned() is not None

    def note(self, names: Iterable[str]) -> bool:
        """Take note of what is installed before these packages change, unless a change is under way, which
        concerns them from now on too; whether nothing was.
        """
        fresh = not self.under_way
        with self._written():
            if fresh:
                self._copy()
            self.plan(names)
        return fresh

    def begin(self, change: Change) -> None:
        """Take note, and save the archives of all that a change replaces or removes, just before it.

        A copy that an earlier run made and then did not use is of a state that may have passed.
        """
        with self._written():
            if not self.under_way:
                self._copy()
            self._save(change)
            self.plan(change.names)

    def plan(self, names: Iterable[str]) -> None:
        """The change under way concerns these packages too."""
        self._plan(sorted({*self._names(), *names}))

    def before(self) -> Dict[str, Prior]:
        """How the packages were that the change under way has changed so far; {} where none is."""
        if not self.under_way:
            return {}
        only = self._names()
        then, now = self._manager.read_state(self._path("before")), self._manager.installed()
        archives, remained = self._archives(), self._manager.remains(self._path("before"))
        found = {
            name: _prior(then.get(name), now.get(name), archives.get(name), self._path("archives"))
            for name in sorted({*then, *now})
            if name in only and not _alike(then.get(name), now.get(name))
        }
        return {name: prior._replace(remains=name in remained) for name, prior in found.items()}

    # --- its end --------------------------------------------------------------------------------------------

    def prior(self) -> Dict[str, Prior]:
        """How each package was before the first change of the role, as `merge` wrote it last."""
        path = self._path("packages.json")
        kept = read_json(path)
        if kept is None or not isinstance(kept.get("packages"), dict):
            if os.path.lexists(path):
                raise TargetError(
                    "%s is damaged, and it alone says how packages were before" % path,
                    "bring it back from a backup, or remove it and put packages back by hand",
                )
            return {}
        found = {}
        for name, entry in kept["packages"].items():
            archive = entry["archive"] and os.path.join(self._path("archives"), entry["archive"])
            # The last two are not in notes of earlier versions.
            more = bool(entry.get("remains")), entry.get("left")
            found[name] = Prior(entry["arch"], entry["version"], entry["auto"], entry["held"], archive, *more)
        return found

    def merged(self) -> Dict[str, Prior]:
        """What `merge` would keep: the first prior of each package wins, and one that is back needs none."""
        now, remain = self._manager.installed(), self._manager.remains()
        before = self.before()
        everything = {**before, **self.prior()}
        return {
            name: _as_left(prior, before[name], now.get(name)) if name in before else prior
            for name, prior in sorted(everything.items())
            if not _is_back(prior, now.get(name)) or (name in remain and not prior.remains)
        }

    def merge(self) -> Dict[str, Prior]:
        """Remember what the change under way has changed so far; the change goes on."""
        found = self.merged()
        if found != self.prior():
            os.makedirs(self.folder, exist_ok=True)
            packages = {name: _as_json(prior) for name, prior in found.items()}
            body = {"schema": SCHEMA, "manager": self._manager.name, "packages": packages}
            write_json(self._path("packages.json"), body)
            sync(self.folder)
        return found

    def settle(self) -> Dict[str, Prior]:
        """The change has ended: what it changed is remembered, and nothing else of it is kept."""
        found = self.merge()
        self.forget()
        if os.path.isdir(self._path("archives")):
            kept = {prior.archive for prior in found.values()}
            for name in os.listdir(self._path("archives")):
                if os.path.join(self._path("archives"), name) not in kept:
                    _remove(os.path.join(self._path("archives"), name))
        if not found:
            for name in ("packages.json", "archives.json", "archives"):
                _remove(self._path(name))
        return found

    def forget(self) -> None:
        """The change under way is none any more: its copy goes, in one step."""
        if os.path.isdir(self._path("before")):
            _remove(self._path(".over"))
            os.rename(self._path("before"), self._path(".over"))
            sync(self.folder)
        for name in ("planned.json", ".over", ".noting"):
            _remove(self._path(name))

    # --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _written(self) -> Iterator[None]:
        """A disk that is full, or read-only, refuses by the folder's name: a failed write tells none."""
        try:
            yield
        except OSError as error:
            raise os_refusal(error, self.folder) from error

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _planned(self) -> Optional[Dict[str, Any]]:
        return read_json(self._path("planned.json"))

    def _names(self) -> Set[str]:
        return set((self._planned() or {}).get("names") or ())

    def _plan(self, names: List[str]) -> None:
        if self._planned() != {"names": names}:
            write_json(self._path("planned.json"), {"names": names})
            sync(self.folder)

    def _copy(self) -> None:
        os.makedirs(self.folder, exist_ok=True)
        # What was replaced may be configuration that only root may read.
        os.chmod(self.folder, 0o700)
        self.forget()
        os.mkdir(self._path(".noting"), 0o700)
        self._manager.copy_of_state(self._path(".noting"))
        for name in os.listdir(self._path(".noting")):
            with open(os.path.join(self._path(".noting"), name), "rb") as copied:
                os.fsync(copied.fileno())
        sync(self._path(".noting"))
        os.rename(self._path(".noting"), self._path("before"))
        sync(self.folder)

    def _archives(self) -> Dict[str, Dict[str, str]]:
        """Which archives are whole: {name: {"version", "file"}}."""
        found: Dict[str, Dict[str, str]] = (read_json(self._path("archives.json")) or {}).get("archives", {})
        return found

    def _save(self, change: Change) -> None:
        there = self._archives()
        versions = {**{name: pair[0] for name, pair in change.replaces.items()}, **change.removes}
        todo = [
            name
            for name, version in sorted(versions.items())
            if there.get(name, {}).get("version") != version
            or not os.path.isfile(os.path.join(self._path("archives"), there[name]["file"]))
        ]
        if todo:
            os.makedirs(self._path("archives"), mode=0o700, exist_ok=True)
            files = self._manager.save(todo, self._path("archives"))
            saved = {name: {"version": versions[name], "file": files[name]} for name in todo}
            # Also the older one of the same package, which the first prior may mean, stays where it is.
            write_json(self._path("archives.json"), {"archives": {**there, **saved}})
            sync(self.folder)


def _prior(then: Optional[Package], now: Optional[Package], saved: Any, folder: str) -> Prior:
    if then is None:
        assert now is not None
        return Prior(now.arch, None, now.auto)
    path = os.path.join(folder, saved["file"]) if saved and saved["version"] == then.version else None
    return Prior(then.arch, then.version, then.auto, then.held, path, left=now.version if now else "")


def _as_left(prior: Prior, before: Prior, now: Optional[Package]) -> Prior:
    """The first prior, with what the role's latest change made of the package."""
    auto = now.auto if prior.version is None and now is not None else prior.auto
    return prior._replace(left=before.left, auto=auto)


def _alike(then: Optional[Package], now: Optional[Package]) -> bool:
    if then is None or now is None:
        return then is now
    return (then.version, then.arch, then.auto, then.held) == (now.version, now.arch, now.auto, now.held)


def _is_back(prior: Prior, now: Optional[Package]) -> bool:
    if prior.version is None or now is None:
        return prior.version is None and now is None
    return (prior.version, prior.arch, prior.auto, prior.held) == (now.version, now.arch, now.auto, now.held)


def _as_json(prior: Prior) -> Dict[str, Any]:
    return dict(prior._asdict(), archive=prior.archive and os.path.basename(prior.archive))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
