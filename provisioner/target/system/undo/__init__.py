"""The way back: takes off what roles have put on a box, and puts back what was there before.

`check` only says what would be done. Otherwise a detached job does it, role by role, so that a cut connection
loses nothing; what is last (Python, the tool's own notes) follows in a process that needs neither.
"""

from __future__ import annotations

import os
from typing import Any, Dict

from ...errors import TargetError
from ...probe.observe import Observer
from ...runtime import jobs
from ..command import Host
from . import job, last, plan, record
from .plan import Ask


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry of docs/architecture.md. Nothing there: no steps. Raises TargetError for what is refused."""
    ask = job.ask_of(request)
    _require_sight(ask.state)
    there = record.roles_on(ask.state)
    whole = plan.make(ask)
    if not whole.roles:
        return _nothing(ask, bool(request.get("check")))
    value = job.said(whole, [])
    value["ending"] = plan.ending(ask.state, ask.roles or there)
    value["reboot"] = plan.restart(Observer(Host().box), whole)
    if request.get("check") or whole.refused:
        return dict(value, changed=True)
    spec = {"state": ask.state, "roles": list(ask.roles), "to": ask.to, "keep": list(ask.keep)}
    jobs.main({"job": "undo", "name": "undo", "spec": spec, "dirs": {"state": ask.state}})
    ended = last.run(ask, last.work)
    if plan.WEIGHTS not in ask.keep:
        why = "it is none of provision's own"
        value["kept"] += [{"role": "", "what": path, "why": why} for path in ended["left"]]
    value["steps"] = [dict(step, done=True) for step in value["steps"]]
    value["reboot"] = plan.restart(Observer(Host().box), whole)
    return dict(value, changed=True)


def _nothing(ask: Ask, check: bool) -> Dict[str, Any]:
    """No role is there. What a run that was cut off at its very end has left of the tool's notes goes."""
    if not check and ask.to == record.PRIOR and not ask.roles and os.path.isdir(ask.state):
        last.sweep(ask.state)
    return dict(job.said(None, []), changed=False)


def _require_sight(state: str) -> None:
    saved = os.path.join(state, "saved")
    if os.path.isdir(saved) and not os.access(saved, os.R_OK | os.X_OK):
        raise TargetError("%s may not be read" % saved, "run with root: log in as root, or use sudo (-K)")
