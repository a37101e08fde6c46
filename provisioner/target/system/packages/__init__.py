"""Packages of the system: what a change would do, what was there before, and the way back."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from ...errors import TargetError
from .base import Manager, UnknownPackage, Wanted
from .managers import known
from .store import Store


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry of docs/architecture.md: `note` before a role installs `packages` by its own way, `settle`
    after.
    """
    do = request.get("do")
    if do not in ("note", "settle"):
        raise TargetError("packages are noted or settled, not %.60r" % (do,), "do: note, or do: settle")
    manager = known()
    if manager is None:
        # Nothing of ours installs packages on such a system, so there is nothing to take note of.
        return {"changed": False, "packages": {}}
    store = Store(request["state"], request["role"], manager)
    if request.get("check"):
        found = store.merged()
    elif do == "note":
        store.note(coming(manager, request["packages"]))
        found = store.merged()
    else:
        found = store.settle()
    # Taking note changes nothing that anybody asked for.
    return {"changed": False, "packages": {name: prior.version for name, prior in found.items()}}


def coming(manager: Manager, packages: Sequence[str]) -> List[str]:
    """All that these would bring or replace. What somebody else changes meanwhile is not the role's."""
    manager.wait()
    if manager.stale():
        # What cannot be read is said by whoever installs.
        manager.refresh()
    found = set(packages)
    for name in packages:
        try:
            found.update(manager.simulate(Wanted([name])).names)
        except UnknownPackage:
            # It does not come, which is for the role to say.
            continue
    return sorted(found)
