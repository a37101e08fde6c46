"""Alternatives, units, accounts and holds as they were."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional

from ...errors import TargetError
from ...probe import keep, users
from ...probe.observe import type_of
from ..command import Host
from ..packages.base import Manager
from .files import changed_since, plain, remove, size_of, some
from .record import Item
from .steps import Kept, Step, Way, way

SKELETON = "/etc/skel"
RUNNING = "/run/systemd/system"
AGAIN = "see what it says, mend that, and run again"


def undo(host: Host, item: Item, now: Dict[str, Any]) -> Way:
    """The way back of one of these; `now` is what it is at the moment."""
    then = plain(item.then)
    if now == then or then["state"] == "unknown":
        return way()
    why = changed_since(item, now)
    if why is not None:
        return Way([], [Kept(item.role, _called(item), why)])
    return _KINDS[item.kind](host, item, now)


def by_its_own_way(host: Host, item: Item, found: Way) -> Way:
    """What an installer put there it takes off itself (`undo`), before the note that it is there goes."""
    argv = [str(word) for word in item.resource.get("undo") or ()]
    if not argv or not found.steps:
        return found

    def act() -> None:
        # One that was stopped in the middle has not left its own way back yet.
        if os.access(host.box.path(argv[0]), os.X_OK):
            host.do(argv, AGAIN)

    return Way([Step(item.role, "run " + " ".join(argv), 0, act), *found.steps], found.kept)


def _called(item: Item) -> str:
    return "%s %s" % (item.kind, item.resource.get("name"))


def _one(item: Item, what: str, act: Callable[[], None]) -> Way:
    return Way([Step(item.role, what, 0, act)], [])


# --- alternatives -------------------------------------------------------------------------------------------


def alternative(host: Host, item: Item, now: Dict[str, Any]) -> Way:
    """Choices that came are taken off, and the choice that was made before is made again."""
    name = str(item.resource["name"])
    before = item.then.get("choices", []) if item.then["state"] == "present" else []

    def act() -> None:
        tool = host.tool("update-alternatives", "alternatives")
        if tool is None:
            raise TargetError("%s: there is no update-alternatives" % name, "put it back by hand")
        ours = [item.resource.get("value"), item.resource.get("target"), (item.left or now).get("value")]
        for path in keep.choices(host.box, name):
            if path in ours and path not in before:
                host.do([tool, "--remove", name, path], AGAIN)
        if item.then["state"] != "present":
            return
        if item.then["mode"] == "auto":
            host.do([tool, "--auto", name], AGAIN)
        else:
            host.do([tool, "--set", name, item.then["value"]], AGAIN)

    if item.then["state"] == "present":
        return _one(item, "let %s stand for %s again" % (name, item.then["value"]), act)
    return _one(item, "remove the alternative %s" % name, act)


# --- units --------------------------------------------------------------------------------------------------


def unit(host: Host, item: Item, now: Dict[str, Any]) -> Way:
    """Enabled, disabled or masked as before. One whose package goes is only switched off here."""
    name, then = str(item.resource["name"]), item.then
    was_on, was_masked = bool(then.get("enabled")), bool(then.get("masked"))
    if now["state"] != "present" or (now["enabled"], now["masked"]) == (was_on, was_masked):
        return way()
    running = host.box.there(RUNNING)

    def act() -> None:
        tool = host.tool("systemctl")
        if tool is None:
            raise TargetError("%s: there is no systemctl" % name, "put the links in /etc/systemd/system back")
        live = ["--now"] if running else []
        if now["masked"] and not was_masked:
            host.do([tool, "unmask", name], AGAIN)
        if was_masked:
            host.do([tool, "mask", *live, name], AGAIN)
        elif was_on:
            host.do([tool, "enable", *live, name], AGAIN)
        elif now["enabled"]:
            host.do([tool, "disable", *live, name], AGAIN)

    word = "mask" if was_masked else "enable" if was_on else "unmask" if now["masked"] else "disable"
    return _one(item, "%s %s" % (word, name), act)


# --- accounts -----------------------------------------------------------------------------------------------


def account(host: Host, item: Item, now: Dict[str, Any]) -> Way:
    """An account that was made goes; its home only when nobody has put anything there."""
    name, then = str(item.resource["name"]), item.then
    if then["state"] == "present":
        return _account_back(host, item, now)
    home = str(now["home"])
    own = theirs(host, home)
    found = _one(item, "remove the account %s" % name, lambda: _remove_account(host, name))
    if not os.path.isdir(host.box.path(home)) or home in ("", "/"):
        return found
    if own:
        found.kept.append(Kept(item.role, home, "it holds " + some(own)))
    else:
        real = host.box.path(home)
        found.steps.append(Step(item.role, "remove " + home, size_of(real), lambda: remove(real)))
    return found


def _account_back(host: Host, item: Item, now: Dict[str, Any]) -> Way:
    name, found = str(item.resource["name"]), way()
    if now["state"] != "present":
        return found

    def taken(group: str) -> Callable[[], None]:
        return lambda: _tool(host, name, "gpasswd", "-d", name, group)

    for group in sorted(set(now.get("groups", [])) - set(item.then.get("groups", []))):
        found.add(_one(item, "take %s out of the group %s" % (name, group), taken(group)))
    shell = str(item.then["shell"])
    if now["shell"] != shell:
        what = "give %s the shell %s again" % (name, shell)
        found.add(_one(item, what, lambda: _tool(host, name, "usermod", "-s", shell, name)))
    return found


def _remove_account(host: Host, name: str) -> None:
    if users.find(host.box, name=name) is not None:
        _tool(host, name, "userdel", name)


def _tool(host: Host, name: str, *argv: str) -> None:
    tool = host.tool(argv[0])
    if tool is None:
        raise TargetError("account %s: there is no %s" % (name, argv[0]), "install the package passwd")
    host.do([tool, *argv[1:]], "end what runs as %s, then run again" % name)


def theirs(host: Host, home: str) -> List[str]:
    """Names in a home that did not come with it."""
    real, found = host.box.path(home), []
    for base, folders, names in os.walk(real):
        for name in folders + names:
            path = os.path.join(base, name)
            below = os.path.relpath(path, real)
            if not _same(path, host.box.path("%s/%s" % (SKELETON, below))):
                found.append(below)
    return found


def _same(path: str, other: str) -> bool:
    try:
        seen, wanted = os.lstat(path), os.lstat(other)
        if type_of(seen.st_mode) != type_of(wanted.st_mode):
            return False
        if type_of(seen.st_mode) == "link":
            return os.readlink(path) == os.readlink(other)
        if type_of(seen.st_mode) == "file":
            with open(path, "rb") as one, open(other, "rb") as two:
                return seen.st_size == wanted.st_size and one.read() == two.read()
        return type_of(seen.st_mode) == "dir"
    except OSError:
        # Not ours to read, or not in the skeleton at all: somebody's own.
        return False


_KINDS: Dict[str, Callable[[Host, Item, Dict[str, Any]], Way]] = {
    "alternative": alternative,
    "unit": unit,
    "account": account,
}


def hold(manager: Optional[Manager], item: Item, now: Dict[str, Any]) -> Way:
    """A package is held again, or no longer; one that is not there cannot be held."""
    name, held = str(item.resource["name"]), item.then["state"] == "present"
    if manager is None or (now["state"] == "present") == held or name not in manager.installed():
        return way()
    what = "hold %s again" if held else "let %s be upgraded again"
    return _one(item, what % name, lambda: manager.hold([name], held))
