"""Packages as they were: exactly those that a role's changes have touched, and no others."""

from __future__ import annotations

import os
import re
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set

from ...errors import TargetError
from ...probe import dpkg
from ...probe.box import Box
from ..packages.base import Change, Manager, Package, Wanted, nobody
from ..packages.store import Prior, Store
from .files import some
from .record import PRIOR
from .steps import Kept, Step

# What this very code runs on: it goes last of all.
_PYTHON = re.compile(r"(lib)?python3(\.\d+)?(-minimal|-stdlib)?(:\w+)?\Z")
_NEEDS = (b"Pre-Depends", b"Depends")


class Undone(NamedTuple):
    """What putting a role's packages back means. `refused` are sentences; with any nothing may be done."""

    role: str
    wanted: Wanted
    change: Change
    auto: Dict[str, bool]
    held: Dict[str, bool]
    refused: List[str]
    kept: Sequence[Kept] = ()

    @property
    def empty(self) -> bool:
        """Whether all is as it was."""
        return not (self.wanted.install or self.wanted.remove or self.auto or self.held)

    @property
    def last(self) -> bool:
        """Whether it takes off the interpreter that this code runs on."""
        return any(_PYTHON.match(name) for name in self.change.removes)


def plan(
    manager: Manager,
    state: str,
    role: str,
    to: str,
    before: Iterable[Undone] = (),
    box: Optional[Box] = None,
) -> Undone:
    """What has to happen to a role's packages. `before` are those of roles that are undone by then.

    Raises TargetError when the manager cannot tell.
    """
    store = Store(state, role, manager)
    entries = store.merged() if to == PRIOR else store.before()
    installed, remains, earlier = manager.installed(), manager.remains(), list(before)
    gone = {
        name
        for name, prior in entries.items()
        if prior.version is None and (name in installed or (name in remains and not prior.remains))
    }
    wished = _wished(entries, installed, gone, earlier, box or Box())
    remove = sorted(gone - set(wished))
    since = {name: _since(prior, installed.get(name)) for name, prior in sorted(entries.items())}
    back = {
        name: prior
        for name, prior in sorted(entries.items())
        if prior.version is not None
        and (name not in installed or installed[name].version != prior.version)
        and since[name] is None
    }
    there = {name: prior for name, prior in entries.items() if prior.version is not None}
    same = sorted(name for name in there if name in installed)
    own = [name for name in entries if name in installed and installed[name].held and not entries[name].held]
    wanted = Wanted(
        install=[prior.archive or "%s=%s" % (name, prior.version) for name, prior in back.items()],
        remove=remove,
        downgrade=True,
        release=sorted(own),
        leave=[name for name in remove if entries[name].remains],
    )
    both = wanted._replace(
        remove=sorted({*remove, *(name for one in earlier for name in one.wanted.remove)}),
        install=[*wanted.install, *(name for one in earlier for name in one.wanted.install)],
        release=sorted({*own, *(name for one in earlier for name in one.wanted.release)}),
        leave=sorted({*wanted.leave, *(name for one in earlier for name in one.wanted.leave)}),
    )
    ours = {*remove, *back}
    ours.update(name for one in earlier for name in (*one.change.removes, *one.change.replaces))
    change = manager.simulate(both) if both.install or both.remove else Change({}, {}, {})
    mine = Change(
        {name: version for name, version in change.installs.items() if name in back},
        {name: versions for name, versions in change.replaces.items() if name in back},
        {name: version for name, version in change.removes.items() if name in remove},
        change.download,
        change.disk - sum(one.change.disk for one in earlier),
    )
    return Undone(
        role,
        wanted,
        mine,
        {name: there[name].auto for name in same if there[name].auto != installed[name].auto},
        {name: there[name].held for name in same if there[name].held != installed[name].held},
        _refusals(change, ours, set(remove), box or Box()),
        [
            Kept(role, "the package " + name, why)
            for name, why in sorted({**since, **wished}.items())
            if why is not None
        ],
    )


def _wished(
    entries: Dict[str, Prior],
    installed: Dict[str, Package],
    gone: Set[str],
    earlier: Sequence[Undone],
    box: Box,
) -> Dict[str, str]:
    """Which packages that came with a role somebody has asked for by name since, and why each stays."""
    found = {
        name: "somebody has asked for it by name since"
        for name in gone
        if name in installed
        and entries[name].auto
        and not installed[name].auto
        # Another role that asked for it gives it back as a dependency.
        and not any(one.auto.get(name) for one in earlier)
    }
    waiting = list(found)
    while waiting:
        needing = waiting.pop()
        for name in needed_by(box, needing, gone - set(found)):
            found[name] = "%s stays, and needs it" % needing
            waiting.append(name)
    return found


def _since(prior: Prior, now: Optional[Package]) -> Optional[str]:
    """Why a package that the role replaced is somebody else's by now; None while it is as left."""
    version = now.version if now else ""
    if prior.version is None or prior.left is None or version in (prior.left, prior.version):
        return None
    if not version:
        return "it has been removed since"
    return "it is %s by now, and provision left %s" % (version, prior.left or "none")


def steps(undone: Undone, manager: Manager, state: str, to: str) -> List[Step]:
    """What is said of the packages, a line for each kind of change; the first does all of it."""
    change, said = undone.change, []
    for word, names in (
        ("remove the packages ", change.removes),
        ("put back the packages ", {**change.installs, **change.replaces}),
    ):
        if names:
            said.append(word + ", ".join(_version(undone, name) for name in sorted(names)))
    rest = [name for name in undone.wanted.remove if name not in change.removes]
    if rest:
        said.append("remove what is left of the configuration of " + some(rest))
    if undone.auto or undone.held:
        said.append("mark packages as they were: " + some({*undone.auto, *undone.held}))
    size = max(0, -change.disk)
    everything = _all(manager, state, undone.role, to)
    return [
        Step(undone.role, what, 0 if number else size, _nothing if number else everything)
        for number, what in enumerate(said)
    ]


def _nothing() -> None:
    """The step before has done it."""


def _all(manager: Manager, state: str, role: str, to: str) -> Callable[[], None]:
    return lambda: transact(manager, state, role, to)


def transact(manager: Manager, state: str, role: str, to: str) -> None:
    """Do it, as one transaction; what a run that was cut off has done of it is not done again.

    Raises TargetError when by now the manager would touch other packages too.
    """
    manager.repair()
    now = plan(manager, state, role, to)
    if now.refused:
        raise TargetError("; ".join(now.refused), "see `provision down --check` for the whole list")
    if now.wanted.install or now.wanted.remove:
        manager.apply(now.wanted, now.change, nobody)
    # What came back came as dpkg sees it: asked for by name, and free.
    now = plan(manager, state, role, to)
    for value in (False, True):
        manager.mark(sorted(name for name, auto in now.auto.items() if auto is value), value)
        manager.hold(sorted(name for name, held in now.held.items() if held is value), value)


def _version(undone: Undone, name: str) -> str:
    change = undone.change
    if name in change.replaces:
        return "%s %s (now %s)" % (name, change.replaces[name][1], change.replaces[name][0])
    return "%s %s" % (name, change.removes.get(name) or change.installs.get(name) or "")


def _refusals(change: Change, ours: Set[str], gone: Set[str], box: Box) -> List[str]:
    """Why it must not be done: the manager would touch packages that provision never did."""
    found = []
    for name, version in sorted(change.removes.items()):
        if name not in ours:
            needs = needed_by(box, name, gone | set(change.removes))
            because = ", which it needs" if needs else ""
            found.append(
                "%s %s, which provision did not install, would be removed together with %s%s"
                % (name, version, some(needs or gone), because)
            )
    for name, versions in sorted(change.replaces.items()):
        if name not in ours:
            found.append("%s would be replaced: %s by %s" % (name, versions[0], versions[1]))
    for name, version in sorted(change.installs.items()):
        if name not in ours:
            found.append("%s %s would be installed" % (name, version))
    return found


def needed_by(box: Box, name: str, others: Set[str]) -> List[str]:
    """Which of `others` an installed package depends on, by dpkg's own notes; [] where it has none."""
    if not box.there(dpkg.STATUS):
        return []
    provided: Dict[str, Set[str]] = {}
    wanted: Set[str] = set()
    for stanza in box.read(dpkg.STATUS, dpkg.LIMIT).split(b"\n\n"):
        package = dpkg.text(dpkg.field(stanza, b"Package"))
        if package in others:
            for virtual in _names(dpkg.field(stanza, b"Provides")):
                provided.setdefault(virtual, set()).add(package)
        if package == name.partition(":")[0]:
            wanted |= {one for key in _NEEDS for one in _names(dpkg.field(stanza, key))}
    found = (wanted & others) - {name}
    return sorted(found.union(*(provided.get(one, set()) for one in wanted)) - {name})


def _names(field: bytes) -> List[str]:
    return re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", dpkg.text(field))


def touched(state: str, role: str) -> bool:
    """Whether a role has changed packages, or was at it: for all others no manager is asked."""
    folder = os.path.join(state, "saved", role)
    return any(os.path.lexists(os.path.join(folder, name)) for name in ("packages.json", "before"))
