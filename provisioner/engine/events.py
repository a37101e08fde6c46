"""What happened on a host, as data: translated from ansible-runner's own events, never from text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from provisioner.hosts.errors import LOST_HINT
from provisioner.secrecy import without_logins

# Between what is wrong and the next step, in the message of a task that failed (ansible/target.py: sentence).
DASH = " — "
# What a role tells the person who waits.
DEBUG = ("debug", "ansible.builtin.debug")


class Kind(StrEnum):
    """What an event says about its task."""

    STARTED = "started"
    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    SAID = "said"
    PROGRESS = "progress"


@dataclass(frozen=True)
class Event:
    """One event on one host. `at` is epoch seconds; `data` is progress, a role's result, or why it
    waits for a restart (`reboot`).

    `message` is what a role said, or what went wrong in one line; `hint` is the next step, if one was named.
    """

    kind: Kind
    host: str
    role: str = ""
    task: str = ""
    message: str = ""
    hint: str = ""
    at: float = field(default_factory=time.time)
    data: Mapping[str, Any] = field(default_factory=dict)


_KINDS = {
    "runner_on_start": Kind.STARTED,
    "runner_on_ok": Kind.OK,
    "runner_on_skipped": Kind.SKIPPED,
    "runner_on_failed": Kind.FAILED,
    "runner_on_unreachable": Kind.UNREACHABLE,
}


def translate(raw: Mapping[str, Any]) -> Event | None:
    """The event in one of ansible-runner's dictionaries; None for those that say nothing of a host."""
    kind = _KINDS.get(raw.get("event", ""))
    if kind is None:
        return None
    data = raw.get("event_data", {})
    result = data.get("res") or {}
    if kind is Kind.OK and result.get("changed"):
        kind = Kind.CHANGED
    message, hint = "", ""
    if kind is Kind.FAILED:
        message, hint = _complaint(result)
    elif kind is Kind.UNREACHABLE:
        message, hint = _loss(result)
    if kind is Kind.OK and data.get("task_action") in DEBUG:
        kind, message = Kind.SAID, _words(result)
    return Event(
        kind=kind,
        host=str(data.get("host", "")),
        role=str(data.get("role", "")),
        task=str(data.get("task", "")),
        message=without_logins(message),
        hint=without_logins(hint),
        data=_told(result),
    )


def _words(result: Mapping[str, Any]) -> str:
    """What a debug task says; with a loop, what each of its items does, a line each."""
    items = result.get("results")
    said = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else [result]
    return "\n".join(str(item["msg"]) for item in said if item.get("msg") and not item.get("skipped"))


def _told(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a task found that others go by: a role's result, or why it waits for a restart."""
    told: dict[str, Any] = {"result": result["result"]} if isinstance(result.get("result"), dict) else {}
    if isinstance(result.get("reboot"), str):
        told["reboot"] = without_logins(result["reboot"])
    return told


def _loss(result: Mapping[str, Any]) -> tuple[str, str]:
    """What to say of a connection that was there, since the box was looked at over it, and now is not."""
    _, by_ssh, words = str(result.get("msg") or "").rpartition(" ssh:")
    said = words.strip().splitlines() if by_ssh else []
    why = f": {said[-1].strip()}" if said else ""
    return f"the connection broke off{why}", LOST_HINT


def _complaint(result: Mapping[str, Any]) -> tuple[str, str]:
    """What a failed result says that a person can act on: the error, and the next step after its dash."""
    for item in result.get("results") or ():
        # The task itself only says that one of its items failed.
        if isinstance(item, Mapping) and (item.get("failed") or item.get("unreachable")):
            return _complaint(item)
    for key in ("msg", "stderr", "module_stderr", "stdout"):
        text = str(result.get(key) or "").strip()
        if not text:
            continue
        # Our own messages may go on over several lines before the dash; of a foreign stream the end counts.
        message, _, hint = (text if key == "msg" else text.splitlines()[-1]).partition(DASH)
        if message.strip():
            return message.strip().splitlines()[0], hint.strip()
    return "failed without saying why", ""
