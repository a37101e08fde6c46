"""Folders that a role made as a whole: environments, weights, toolkits."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Set

from ...probe.tree import SITE
from .files import remove, size_of, some
from .record import Item
from .steps import Kept, Step, Way, way


def undo(item: Item, now: Dict[str, Any], gone: Set[str]) -> Way:
    """A tree that was not there goes; what somebody has put into it since stays, and the folder with it."""
    path = str(item.resource["path"])
    if item.then["state"] != "absent":
        # Of a tree that was there before nothing was kept: the role that made it answers for it.
        return way()
    found = way()
    if now["state"] != "absent" and path not in gone:
        foreign = added(item, now)
        if foreign:
            found.steps.append(_all_but(item, path, foreign))
            found.kept.append(Kept(item.role, path, "somebody has put into it: " + some(foreign)))
        else:
            found.steps.append(Step(item.role, "remove " + path, size_of(path), lambda: remove(path)))
            gone.add(path)
    return found


def also(item: Item, gone: Set[str]) -> Way:
    """What goes with a thing: notes and half-done work beside it, which no look at the box compares."""
    found = way()
    paths = item.resource.get("also")
    for path in paths if isinstance(paths, list) and item.then["state"] == "absent" else []:
        if os.path.lexists(path) and path not in gone:
            gone.add(path)
            found.steps.append(Step(item.role, "remove " + path, size_of(path), _remover(path)))
    return found


def added(item: Item, now: Dict[str, Any]) -> List[str]:
    """Names at the top of a tree, or files in it, that its role did not leave there.

    A package that was added to an environment is of no use without it.
    """
    entries, left = now.get("entries"), (item.left or {}).get("entries")
    if not isinstance(entries, dict) or not isinstance(left, dict):
        return []
    return [name for name in entries if name not in left and not name.startswith(SITE)]


def _all_but(item: Item, path: str, foreign: List[str]) -> Step:
    def act() -> None:
        kept = {os.path.normpath(os.path.join(path, name)) for name in foreign}
        above = {parent for one in kept for parent in _parents(one, path)}
        for base, folders, names in os.walk(path):
            for name in list(folders):
                inner = os.path.join(base, name)
                if inner in kept or inner not in above:
                    folders.remove(name)
                if inner not in kept and inner not in above:
                    remove(inner)
            for name in names:
                if os.path.join(base, name) not in kept:
                    remove(os.path.join(base, name))

    return Step(item.role, "remove what was put into %s" % path, size_of(path), act)


def _parents(path: str, top: str) -> List[str]:
    found = []
    while path != top and len(path) > len(top):
        path = os.path.dirname(path)
        found.append(path)
    return found


def _remover(path: str) -> Any:
    return lambda: remove(path)
