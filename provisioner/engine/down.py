"""Take off what was put on: say what goes, then do it, on many hosts at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from provisioner import layout
from provisioner.compat import roles as role_data
from provisioner.engine.attendance import Attendance, Attended
from provisioner.engine.run import Sink
from provisioner.errors import ProvisionError, UsageError
from provisioner.facts import Facts
from provisioner.hosts.errors import NoSudo
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Privilege, Transport
from provisioner.nearest import nearest_hint
from provisioner.report import words
from provisioner.report.down import DownHost, Status, Undone

PROBE: dict[str, Any] = {"receipts": None, "root": "/"}
ENTRY = "system.undo"
_BASE = ("host_base",)
# Which roles a role stands on: it cannot work without them, and what takes it off may need them.
STANDS_ON: Mapping[str, Sequence[str]] = {
    "nvidia_repository": _BASE,
    "nvidia_driver": ("nvidia_repository", *_BASE),
    "cuda_toolkit": ("nvidia_repository", *_BASE),
    "kernel_options": _BASE,
    "python_env": _BASE,
    "model_weights": _BASE,
    "smoke_test": ("python_env", "model_weights", *_BASE),
}
# What such a role left is the proof that others worked: it goes with them.
PROOFS = ("smoke_test",)


@dataclass(frozen=True)
class Wish:
    """What is to go: these roles, or all; of these scopes; but not what is kept."""

    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("user", "system")
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Looked:
    """A host that was looked at: what to show for it, and how to talk to it."""

    result: DownHost
    transport: Transport


def wished(roles: Iterable[str], scope: str = "auto", *, keep_weights: bool = False) -> Wish:
    """What the command line asks for. Raises UsageError for a role that does not exist, with the nearest."""
    known = sorted(path.name for path in layout.roles().iterdir() if path.is_dir())
    for role in roles:
        if role not in known:
            raise UsageError(f"--role {role}: there is no such role", hint=nearest_hint(role, known))
    scopes = ("user", "system") if scope == "auto" else (scope,)
    return Wish(tuple(dict.fromkeys(roles)), scopes, ("weights",) if keep_weights else ())


def look(transports: Sequence[Transport], wish: Wish) -> list[Looked]:
    """What would go on each host; nothing is changed. A host that cannot be reached is a result."""
    results = at_once(partial(_looked, wish=wish), list(transports))
    return [Looked(result, transport) for result, transport in zip(results, transports, strict=True)]


def take_off(hosts: Sequence[Looked], wish: Wish, sink: Sink, *, run: str) -> list[DownHost]:
    """Take off what `look` found, all hosts at once, each under its run lock."""
    return at_once(partial(_taken_off, wish=wish, sink=sink, run=run), list(hosts))


def _looked(transport: Transport, wish: Wish) -> DownHost:
    started, name = time.monotonic(), transport.target.name
    try:
        answer = transport.call("probe", PROBE, privilege="none" if wish.scopes == ("user",) else "auto")
        # What later calls run as says nothing of this: those of the scope `user` go without root.
        powerless = transport.standing is not None and not transport.standing.root
        facts = Facts.decode(answer)
        machine = words.machine(facts)
        if facts.python is None:
            return _without_python(name, machine, answer, started)
        found = []
        for scope in wish.scopes:
            undone = _asked(transport, facts, scope, wish, powerless=powerless and scope == "system")
            if undone.roles:
                found.append(undone)
    except ProvisionError as error:
        return DownHost(
            name, Status.FAILED, error=error.message, hint=error.hint, seconds=time.monotonic() - started
        )
    status = Status.WOULD if found else Status.NOTHING
    host = DownHost(name, status, machine, tuple(found), seconds=time.monotonic() - started)
    refused = [sentence for one in found for sentence in one.refused]
    if refused:
        return replace(
            host,
            status=Status.REFUSED,
            error="; ".join(refused),
            hint="remove that first if nobody needs it, or leave its role: provision down --role NAME",
        )
    return host


def _asked(transport: Transport, facts: Facts, scope: str, wish: Wish, *, powerless: bool) -> Undone:
    """What one scope would lose. Raises ProvisionError for what stands in the way."""
    state = facts.places[scope].state
    privilege = _privilege(scope)
    request = {
        "state": state,
        "roles": list(wish.roles),
        "keep": list(wish.keep),
        "to": "prior",
        "check": True,
    }
    known = {receipt.role for receipt in facts.receipts if receipt.scope == scope}
    if powerless and (known.intersection(wish.roles) if wish.roles else known):
        raise _no_root(transport)
    undone = Undone.of(scope, state, transport.call(ENTRY, request, privilege=privilege))
    if not undone.roles:
        return undone
    if powerless:
        raise _no_root(transport)
    if wish.roles:
        along = _along(known | set(facts.pending), undone.roles)
        if along:
            request["roles"] = [*wish.roles, *along]
            undone = Undone.of(scope, state, transport.call(ENTRY, request, privilege=privilege))
    return undone


def _no_root(transport: Transport) -> NoSudo:
    return NoSudo(
        f"{transport.target.name}: what is the whole system's can only be taken off by root",
        hint="log in as root, or as a user who may use sudo (-K asks for its password); "
        "--scope user leaves it",
    )


def _privilege(scope: str) -> Privilege:
    return "auto" if scope == "system" else "none"


def _along(there: Iterable[str], going: Sequence[str]) -> list[str]:
    """The proofs that go with the roles that go. Raises ProvisionError for other roles that stand on them."""
    standing = [
        role for role in there if role not in going and set(STANDS_ON.get(role, ())).intersection(going)
    ]
    ordered = sorted(standing, key=role_data.ORDER.index, reverse=True)
    others = [role for role in ordered if role not in PROOFS]
    if others:
        under = [role for role in going if any(role in STANDS_ON[other] for other in others)]
        raise ProvisionError(
            f"{', '.join(others)} {'stands' if len(others) == 1 else 'stand'} on {', '.join(under)}",
            hint="take them off too: " + " ".join(f"--role {role}" for role in [*others, *going]),
        )
    return ordered


def _without_python(name: str, machine: str, answer: Mapping[str, Any], started: float) -> DownHost:
    """A machine without Python has nothing of ours, unless its power went while Python was taken off."""
    seconds = time.monotonic() - started
    if answer.get("left") != "yes":
        return DownHost(name, Status.NOTHING, machine, seconds=seconds)
    return DownHost(
        name,
        Status.FAILED,
        machine,
        error="Python was taken off there and /var/lib/provisioner is still there: somebody cut that off",
        hint="let `provision up` bring Python back, and take all off again",
        seconds=seconds,
    )


def _taken_off(host: Looked, wish: Wish, sink: Sink, run: str) -> DownHost:
    started, result = time.monotonic(), host.result
    try:
        done = [_one_scope(host.transport, one, wish, sink, run) for one in result.scopes]
        left = look([host.transport], replace(wish, roles=_roles_left(wish, result)))[0].result
    except ProvisionError as error:
        return replace(
            result,
            status=Status.FAILED,
            error=error.message,
            hint=error.hint,
            seconds=time.monotonic() - started,
        )
    ended = replace(result, status=Status.DONE, scopes=tuple(done), seconds=time.monotonic() - started)
    if left.status is not Status.NOTHING:
        what = left.error or ", ".join(role for one in left.scopes for role in one.roles)
        return replace(ended, status=Status.FAILED, error=f"not all of it went: {what}", hint=left.hint)
    return replace(ended, status=Status.RESTART) if ended.reboot else ended


def _roles_left(wish: Wish, result: DownHost) -> tuple[str, ...]:
    """Which roles must have gone."""
    return tuple(role for one in result.scopes for role in one.roles) if wish.roles else ()


def _one_scope(transport: Transport, one: Undone, wish: Wish, sink: Sink, run: str) -> Undone:
    privilege = _privilege(one.scope)
    attendance = Attendance(Attended(transport, one.state, privilege), run, sink)
    try:
        request = {
            "state": one.state,
            # All means all that is there by then.
            "roles": list(one.roles) if wish.roles else [],
            "keep": list(wish.keep),
            "to": "prior",
            "check": False,
        }
        # A job without a deadline: packages take as long as they take.
        value = transport.call(ENTRY, request, privilege=privilege, timeout=None)
    finally:
        attendance.close()
    undone = Undone.of(one.scope, one.state, value)
    if undone.refused:
        raise ProvisionError("; ".join(undone.refused), hint="nothing was taken off")
    # What the box did since it was asked first is the same: it is said as it was shown.
    steps = tuple(replace(step, done=True) for step in one.steps)
    return replace(undone, roles=one.roles, steps=steps)
