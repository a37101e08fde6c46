"""All that putting roles back means on this box, in order; nothing is changed by making this plan."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set

from ...errors import TargetError
from ...probe import gpus
from ...probe.audit.files import text_of
from ...probe.observe import Observer
from .. import driver_look
from ..command import Host
from ..packages import managers
from ..packages.base import Manager
from . import entries, files, others, packages, record, running, trees
from .packages import Undone
from .record import Item, Record
from .steps import Kept, Step, Way, way

# What is only looked at: nothing of it is put back, though a restart may be needed until it is as before.
LIVE = ("boot_option", "parameter", "module", "driver")
# Of these a role is the witness, not the maker.
WITNESS = ("smoke_test",)
WEIGHTS = "weights"
# Its module stays in memory when its packages go.
DRIVER = "nvidia_driver"
KEEPS = {WEIGHTS: "model_weights"}
# What the tool itself keeps in its state folder; it goes when no role is left.
OWN = (
    "receipts", "jobs", "saved", "shares", "refreshed", "runfiles", "run.lock", "restart.log",
    "machine-key.json", ".nvcc-proof",
)  # fmt: skip


class RolePlan(NamedTuple):
    """One role: what is done, in order, and what stays; then its packages; and what is made anew for it."""

    record: Record
    way: Way
    packages: Optional[Undone]
    moves: List[Step]
    refresh: Dict[str, List[str]]

    @property
    def role(self) -> str:
        """The role's name."""
        return self.record.role

    @property
    def last(self) -> bool:
        """Whether Python itself goes with its packages."""
        return self.packages is not None and self.packages.last

    @property
    def steps(self) -> List[Step]:
        """All that will be done for it."""
        return [*self.way.steps, *self.moves]


class Ask(NamedTuple):
    """What is asked: which roles, how far back, where, and what stays in spite of it."""

    state: str
    roles: Sequence[str]
    to: str = record.PRIOR
    keep: Sequence[str] = ()


class Whole(NamedTuple):
    """The whole plan. `sweep`: no role is left afterwards, so the tool's own notes go too."""

    roles: List[RolePlan]
    sweep: bool
    manager: Optional[Manager]

    @property
    def refused(self) -> List[str]:
        """Why nothing may be done; [] when all may."""
        return [sentence for one in self.roles if one.packages for sentence in one.packages.refused]

    def steps_of(self, role: str) -> List[Step]:
        """What will be done for one role."""
        return [step for one in self.roles if one.role == role for step in one.steps]

    @property
    def kept(self) -> List[Kept]:
        """All that stays."""
        return [kept for one in self.roles for kept in one.way.kept]


def make(ask: Ask, host: Optional[Host] = None, manager: Optional[Manager] = None) -> Whole:
    """The plan, made of what is there now: made again after a cut, it holds what is left to do."""
    there = record.roles_on(ask.state)
    wanted = [role for role in there if not ask.roles or role in ask.roles]
    host = host or Host()
    observer, gone = Observer(host.box), {os.path.join(ask.state, name) for name in OWN}
    plans: List[RolePlan] = []
    if manager is None and any(packages.touched(ask.state, role) for role in wanted):
        manager = managers.manager()
    for role in wanted:
        known = record.read(ask.state, role, ask.to)
        undone = None
        if manager is not None and packages.touched(ask.state, role):
            earlier = [one.packages for one in plans if one.packages is not None]
            undone = packages.plan(manager, ask.state, role, ask.to, earlier)
        plans.append(_role(host, observer, known, undone, manager, ask, gone))
    return Whole(plans, ask.to == record.PRIOR and wanted == there, manager)


def _role(
    host: Host,
    observer: Observer,
    known: Record,
    undone: Optional[Undone],
    manager: Optional[Manager],
    ask: Ask,
    gone: Set[str],
) -> RolePlan:
    found = way()
    for item in known.items:
        found.add(_item(host, observer, known, item, manager, ask, gone))
    if ask.to == record.PRIOR:
        found.add(entries.undo(host, known.role, ask.state))
    found.kept.extend(undone.kept if undone else [])
    moves = packages.steps(undone, manager, known.state, ask.to) if undone and manager else []
    return RolePlan(known, found, undone, moves, refreshes(known.items))


def _item(
    host: Host,
    observer: Observer,
    known: Record,
    item: Item,
    manager: Optional[Manager],
    ask: Ask,
    gone: Set[str],
) -> Way:
    path = str(item.resource.get("path", ""))
    if item.kind in (*LIVE, "kernel", "package") or known.role in WITNESS:
        return way()
    if _inside(path, ask.state, ask.keep):
        return way()
    if item.kind == "hold" and item.then["state"] == "unknown":
        # Of a package that came with the role: what is saved of packages has their holds.
        return way()
    if item.then["state"] == "unknown":
        what = path or "%s %s" % (item.kind, item.resource.get("name"))
        why = "how it was before is not known: %s" % item.then.get("why", "nobody looked")
        return Way([], [Kept(known.role, what, why)])
    now = observer.observe(item.resource)
    if now["state"] == "unknown":
        raise TargetError(
            "%s cannot be read: %s" % (path or item.resource.get("name"), now["why"]),
            "run as root, or as the user it belongs to",
        )
    if item.kind == "tree":
        found = trees.undo(item, now, gone)
    elif item.kind == "file":
        found = others.by_its_own_way(host, item, files.undo(known, item, now, gone))
    elif item.kind == "hold":
        found = others.hold(manager or managers.known(), item, now)
    else:
        found = others.undo(host, item, now)
    found.add(trees.also(item, gone))
    return found


def _inside(path: str, state: str, keep: Sequence[str]) -> bool:
    """Whether a path is one of the tool's own folders, which go last, or holds what shall stay."""
    models = os.path.join(state, "models")
    if WEIGHTS in keep and (path + "/").startswith(models + "/"):
        return True
    return path == state or path in [os.path.join(state, name) for name in (*OWN, "models")]


def refreshes(items: Iterable[Item]) -> Dict[str, List[str]]:
    """What is made anew, and of which paths, once a role's things are back."""
    found: Dict[str, List[str]] = {}
    for item in items:
        what = item.resource.get("refresh")
        if isinstance(what, str) and isinstance(item.resource.get("path"), str):
            found.setdefault(what, []).append(item.resource["path"])
    return found


def restart(observer: Observer, whole: Whole, host: Optional[Host] = None) -> Optional[str]:
    """Why what runs now is not what the box would start with; None when it is."""
    for one in whole.roles:
        if one.role in WITNESS or not (one.refresh or one.packages is not None or one.way.steps):
            continue
        if one.role == DRIVER and one.packages is not None:
            why = _in_memory(Host() if host is None else host)
            if why is not None:
                return why
        for item in one.record.items:
            if item.kind in LIVE and item.then["state"] != "unknown":
                now = observer.observe(item.resource)
                if now["state"] != "unknown" and now != item.then:
                    return _still(item, now)
    return None


def _in_memory(host: Host) -> Optional[str]:
    """Why the driver that is loaded is not the one that is installed; in a container it is not its own."""
    version = gpus.driver_version(host.box)
    if version is None or host.container:
        return None
    found = driver_look.module_of(host, text_of(host.box, "/proc/sys/kernel/osrelease").strip())
    return None if found and found.version == version else "the NVIDIA module in memory is %s" % version


def _still(item: Item, now: Dict[str, Any]) -> str:
    known = item.resource
    if item.kind == "boot_option":
        there = now["state"] == "present"
        return "the kernel runs %s %s" % ("with" if there else "without", known.get("option"))
    if item.kind == "parameter":
        return "%s.%s is not yet as it was" % (known.get("module"), known.get("name"))
    if item.kind == "driver":
        return "the NVIDIA module in memory is %s" % (now.get("version") or "none")
    return "the kernel module %s is %s" % (
        known.get("name"),
        "still loaded" if now["state"] == "present" else "not loaded yet",
    )


def ending(state: str, roles: Sequence[str]) -> List[str]:
    """Jobs that will be ended first, by name."""
    return [os.path.basename(folder) for folder in running.at_work(state, roles)]
