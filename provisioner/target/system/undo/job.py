"""Job `undo`: everything of a way back but its end, which goes without Python and without a job's own folder.

Spec: `state`, `roles` ([]: all), `to`, `keep`. It may be cut off anywhere: what is left to do is found out
again, from the receipts that are still there.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from ...errors import TargetError
from ...runtime.files import os_refusal
from .. import refresh
from ..command import Host
from ..packages.store import Store
from . import files, plan, record, running
from .plan import Ask, RolePlan, Whole
from .steps import Step

CHANGES = True
# The programs that make these anew belong to packages that may go.
_BEFORE_PACKAGES = ("trust",)


def ask_of(spec: Dict[str, Any]) -> Ask:
    """The spec as the planner takes it. Raises TargetError for one that makes no sense."""
    state, to, keep = spec.get("state"), spec.get("to", record.PRIOR), spec.get("keep") or []
    if not isinstance(state, str) or not state.startswith("/"):
        raise TargetError("the state folder is no absolute path: %.60r" % (state,))
    if to not in (record.PRIOR, record.BEFORE):
        raise TargetError("the way back goes to prior or to before, not to %.60r" % (to,))
    unknown = [name for name in keep if name not in plan.KEEPS]
    if unknown:
        raise TargetError("nothing is called %.60r that could be kept" % (unknown[0],), "keep: [weights]")
    roles = spec.get("roles") or []
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TargetError("roles is no list of names: %.60r" % (roles,))
    return Ask(state, roles, to, keep)


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Why there is something to do; None when nothing is left of the roles that were asked for."""
    ask = ask_of(spec)
    there = record.roles_on(ask.state)
    named = [role for role in there if not ask.roles or role in ask.roles]
    return "to be taken off: " + ", ".join(named) if named else None


def describe(_spec: Dict[str, Any]) -> Dict[str, Any]:
    """The result where nothing is to be done."""
    return said(None, [])


def apply(spec: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Put everything back but what `last` does; the roles that are done leave no receipt."""
    ask = ask_of(spec)
    # A cut-off run may have left some of the roles already.
    there = record.roles_on(ask.state)
    ask = ask._replace(roles=[role for role in ask.roles if role in there])
    context.say("looking what there is")
    running.wait(ask.state, lambda name: context.say("waiting for the job %s" % name))
    running.end(ask.state, ask.roles or there)
    whole = plan.make(ask)
    if whole.refused:
        raise TargetError("; ".join(whole.refused), "see `provision down --check` for the whole list")
    for one in whole.roles:
        context.say(one.role)
        take_off(whole, one, ask, context)
    return said(whole, whole.roles)


def said(whole: Optional[Whole], done: Any) -> Dict[str, Any]:
    """The documented value: `done` are the roles whose steps have been taken."""
    if whole is None:
        return {
            "roles": [],
            "steps": [],
            "kept": [],
            "refused": [],
            "ending": [],
            "sweep": False,
            "reboot": None,
        }
    return {
        "roles": [one.role for one in whole.roles],
        "steps": [step.said(one in done) for one in whole.roles for step in one.steps],
        "kept": [kept.said() for kept in whole.kept],
        "refused": whole.refused,
        "ending": [],
        "sweep": whole.sweep,
        "reboot": None,
    }


def take_off(whole: Whole, one: RolePlan, ask: Ask, context: Any) -> None:
    for what in one.refresh if one.way.steps else ():
        # Whatever happens from here on, it is made anew at the end.
        refresh.Stamp(Host(), ask.state, what).begin()
    _take(one.way.steps, context)
    early = [what for what in one.refresh if one.last or what in _BEFORE_PACKAGES]
    _refresh(one, ask, early)
    if one.last:
        return
    _take(one.moves, context)
    _refresh(one, ask, [what for what in one.refresh if what not in early])
    finish(whole, one, ask)


def _take(steps: List[Step], context: Any) -> None:
    for step in steps:
        context.say("%s: %s" % (step.role, step.what))
        try:
            step.act()
        except OSError as error:
            raise os_refusal(error, step.what) from error


def _refresh(one: RolePlan, ask: Ask, what: List[str]) -> None:
    for name in what:
        refresh.refresh(Host(), name, sorted(one.refresh[name]), ask.state)


def finish(whole: Whole, one: RolePlan, ask: Ask) -> None:
    """Forget a role whose things are back. Its receipt goes last: until then a cut-off run knows of it."""
    receipt, pending = one.record.files()
    if ask.to == record.BEFORE:
        left = Store(ask.state, one.role, whole.manager).settle() if whole.manager is not None else {}
        if os.path.lexists(receipt):
            files.remove(pending)
            return
        if left:
            # An earlier change came to its end, and its role did not: how it was before that is still needed.
            return
    files.remove(one.record.saved)
    files.remove(pending)
    files.remove(receipt)
