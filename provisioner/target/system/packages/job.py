"""Job `packages`: a role's packages are installed as asked, whole, held, and what they replaced is saved.

Spec: `role`, `state`, `install` [name | name=version], `streams`, `own` [patterns], `hold` (of what matches
`own`), `may_remove` [patterns], `never` [patterns: what must neither come nor be replaced], `recommends`,
`downgrade`, `settle` (false: the role settles, once it has proved that the change works), `network`,
`lock_timeout` (seconds). Nothing is changed before all that can be known is known to fit; then as one
transaction of the package manager.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ... import clock
from ...errors import TargetError
from ...runtime.files import require_space
from . import apt_output
from .base import (
    Change,
    Manager,
    NotFetched,
    Package,
    SetupFailed,
    UnknownPackage,
    Wanted,
    matching,
    unwanted,
)
from .managers import manager
from .store import Store

CHANGES = True


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Why there is something to do; None when all is as asked. It asks no mirror, and changes nothing."""
    found = _manager(spec)
    installed = found.installed()
    for item in spec["install"]:
        why = _missing(item, installed)
        if why:
            return why
    for stream in spec.get("streams") or []:
        why = found.stream_missing(stream)
        if why:
            return why
    own = matching(installed, spec.get("own") or [])
    broken = [name for name in own if not installed[name].whole]
    if broken:
        return "%s was left half-way" % broken[0]
    loose = [name for name in own if spec.get("hold") and not installed[name].held]
    if loose:
        return "%s is not held" % loose[0]
    for name in _by_the_way(spec, installed):
        return "%s counts as a dependency only" % name
    store = Store(spec["state"], spec["role"], found)
    if store.merged() != store.prior() or (store.under_way and spec.get("settle", True)):
        return "what was there before is not noted yet"
    return None


def describe(spec: Dict[str, Any], change: Optional[Change] = None, seconds: float = 0.0) -> Dict[str, Any]:
    """The result: `own` are the packages that match, as they are now; the rest is what this run did."""
    installed = _manager(spec).installed()
    done = change or Change({}, {}, {})
    return {
        "own": {name: installed[name].version for name in matching(installed, spec.get("own") or [])},
        "installs": done.installs, "replaces": {name: list(pair) for name, pair in done.replaces.items()},
        "removes": done.removes, "seconds": round(seconds, 1),
    }  # fmt: skip


def apply(spec: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Installs, holds and settles. Raises TargetError; before packages are changed, nothing has been."""
    start = time.monotonic()
    found, told = _manager(spec), _teller(context)
    store = Store(spec["state"], spec["role"], found)
    found.wait(told)
    found.repair()
    wanted, change = _fetched(spec, found, store, told)
    if not change.empty:
        told("saving what is replaced", None, None)
        fresh = not store.under_way
        store.begin(change)
        try:
            found.apply(wanted, change, told)
        except SetupFailed as failed:
            # What of it happened is held, and can be taken back.
            raise _kept(_explained(failed, context), spec, found, store) from failed
        except TargetError:
            # Refused, not failed: nothing has changed, and nothing need be known of how it was.
            if fresh:
                store.settle()
            raise
    _keep(spec, found, store)
    installed = found.installed()
    for item in spec["install"]:
        why = _missing(item, installed)
        if why:
            raise TargetError(
                "%s said that all went well, and %s" % (found.name, why), "look at %s" % _log(context)
            )
    if spec.get("settle", True):
        store.settle()
    return describe(spec, change, time.monotonic() - start)


# --- before anything is changed ----------------------------------------------------------------------


def _fetched(spec: Dict[str, Any], found: Manager, store: Store, told: Any) -> Tuple[Wanted, Change]:
    """What is to be done, once it is known that it can be, and all of it is here."""
    troubles: Optional[List[str]] = None
    why = found.stale()
    if why:
        troubles = _refreshed(found, told, why)
    for _ in (1, 2):
        try:
            wanted = _wanted(spec, found, store)
            told("looking what is needed", None, None)
            change = found.simulate(wanted)
            _refuse(change, wanted, spec)
            if not change.empty:
                print("== %s" % apt_output.summary(change), flush=True)
                require_space(found.room(change), instead=", and run again")
                found.fetch(wanted, change, told)
        except (UnknownPackage, NotFetched) as missing:
            if troubles is not None:
                raise _with(missing, troubles) from missing
            # The lists may be those of yesterday: what they name may have gone, and what is asked come.
            troubles = _refreshed(found, told, missing.message)
        else:
            return wanted, change
    raise AssertionError("the second turn returns or raises")


def _refreshed(found: Manager, told: Any, why: str) -> List[str]:
    print("== %s" % why, flush=True)
    told("reading the package lists", None, None)
    return found.refresh()


def _wanted(spec: Dict[str, Any], found: Manager, store: Store) -> Wanted:
    """What to ask of the manager; holds of the role's own are no obstacle to it."""
    installed, prior = found.installed(), store.prior()
    # Held by an earlier run, and by nobody before it: such a hold is the role's own.
    mine = [
        name
        for name in matching(installed, spec.get("own") or [])
        if installed[name].held and name in prior and not prior[name].held
    ]
    return Wanted(
        install=list(spec["install"]),
        streams=list(spec.get("streams") or []),
        recommends=bool(spec.get("recommends")),
        downgrade=bool(spec.get("downgrade")),
        release=mine,
    )


def _refuse(change: Change, wanted: Wanted, spec: Dict[str, Any]) -> None:
    gone = unwanted(change, wanted, spec.get("may_remove") or [])
    if gone:
        raise TargetError(
            "installing %s would remove %s" % (", ".join(spec["install"][:3]), ", ".join(gone)),
            "remove %s yourself if nothing needs it, or choose another version or route"
            % ("it" if len(gone) == 1 else "them"),
        )
    brought = matching({**change.installs, **change.replaces}, spec.get("never") or [])
    if brought:
        raise TargetError(
            "installing %s would bring %s" % (", ".join(spec["install"][:3]), ", ".join(brought)),
            "choose packages that do not need %s, or another route" % ("it" if len(brought) == 1 else "them"),
        )


def _with(error: TargetError, troubles: List[str]) -> TargetError:
    """What is missing may be in a list that could not be read: then this is why."""
    if not troubles:
        return error
    late = any(map(clock.behind, troubles))
    return TargetError(
        "%s, and these lists could not be read: %s" % (error.message, "; ".join(troubles[:3])),
        clock.HINT
        if late
        else "see that the machine reaches those sources, or take out those that are wrong, and run again",
    )


# --- after --------------------------------------------------------------------------------------------


def _keep(spec: Dict[str, Any], found: Manager, store: Store) -> None:
    """Hold what is the role's, count what it asked for as asked for, and note what has changed so far."""
    installed = found.installed()
    own = matching(installed, spec.get("own") or [])
    loose = [name for name in own if spec.get("hold") and not installed[name].held]
    unasked = _by_the_way(spec, installed)
    if loose or unasked:
        if not store.under_way:
            store.begin(Change({}, {}, {}))
        store.plan([*loose, *unasked])
        found.hold(loose, True)
        found.mark(unasked, False)
    store.merge()


def _by_the_way(spec: Dict[str, Any], installed: Dict[str, Package]) -> List[str]:
    """What was asked for and counts as a dependency: it would go with what needed it."""
    asked = {item.partition("=")[0] for item in spec["install"]}
    return [name for name in sorted(asked) if name in installed and installed[name].auto]


def _kept(error: TargetError, spec: Dict[str, Any], found: Manager, store: Store) -> TargetError:
    """The error of a change that broke off, once what of it happened is held and noted."""
    try:
        _keep(spec, found, store)
    except (TargetError, OSError) as also:
        # The first error is the one that counts; the next run, or the way back, takes the rest up again.
        print("!! what was done is not held and noted: %s" % also, flush=True)
    return error


def _explained(failed: SetupFailed, context: Any) -> TargetError:
    return TargetError(
        failed.message,
        "%s; see %s" % (failed.hint, _log(context)) if failed.hint else "see %s" % _log(context),
    )


def _missing(item: str, installed: Dict[str, Package]) -> Optional[str]:
    name, _, version = item.partition("=")
    there = installed.get(name) or installed.get(name.partition(":")[0])
    if there is None:
        return "%s is not installed" % name
    if version and there.version != version:
        return "%s is %s, and %s is wanted" % (name, there.version, version)
    return None if there.whole else "%s was left half-way" % name


def _manager(spec: Dict[str, Any]) -> Manager:
    return manager(int(spec.get("lock_timeout") or 600), spec.get("network"))


def _log(context: Any) -> str:
    folder = getattr(context, "folder", "")
    return "%s/log.txt on that machine" % folder if folder else "the log of this job"


def _teller(context: Any) -> Callable[[str, Optional[int], Optional[int]], None]:
    """A new phase is said once; what is done of it is told as it comes."""
    last = [""]

    def told(what: str, done: Optional[int] = None, total: Optional[int] = None) -> None:
        if what != last[0]:
            last[0] = what
            context.say(what, total, done)
        elif done is not None:
            context.progress.at(done)

    return told
