"""Whether a run can work there at all: the system, root, a Python to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from provisioner.compat.rules.case import Case, asked, own, seen
from provisioner.compat.solver import Constraint, Fact
from provisioner.compat.systems import unserved

_MORE_RIGHTS = "log in as root, or let the user use sudo (with -K to give the password)"


def rules(case: Case) -> Iterator[Constraint]:
    """What keeps a run from working there."""
    asks = case.ask.scope
    if asks == "system" and not case.box.root:
        yield Constraint((no_root(case), scope_asked(case)), (), never)
    missing = case.box.python is None and "python" not in case.box.unknown
    yield from _served(case, missing=missing)
    if missing and case.scope == "user":
        here = seen("python", "python3 is missing", "install python3")
        yield Constraint((here, installs_nothing("python3"), why_user(case)), (), never)


def installs_nothing(what: str) -> Fact:
    """That something is not installed without root."""
    return own(f"tool.{what}_root", f"{what} is installed for the whole system, by root")


def why_user(case: Case) -> Fact:
    """Why a run stays in one user's folders."""
    return scope_asked(case) if case.ask.scope == "user" else no_root(case)


def no_root(case: Case) -> Fact:
    """That nobody is root."""
    return seen("user.root", f"{case.box.user} is not root here and sudo does not work", _MORE_RIGHTS)


def scope_asked(case: Case) -> Fact:
    """Where everything was asked to go."""
    change = "leave --scope out" if case.ask.scope == "user" else "say --scope user"
    return asked("request.scope", f"--scope {case.ask.scope}", change)


def _served(case: Case, *, missing: bool) -> Iterator[Constraint]:
    entry = unserved(case.box.facts.os)
    # Without root and with a Python of its own, the package manager is not asked.
    if entry is None or (case.scope == "user" and not missing):
        return
    os = case.box.facts.os
    facts = [
        Fact(f"unserved.{os.id}.{number}", text, "data", entry.source, entry.confidence)
        for number, text in enumerate(entry.because, 1)
    ]
    # A fact of its own: here it is known what another system would have to be.
    system = replace(case.system, id="os.served", change=entry.change)
    yield Constraint((system, *facts), (), never)


def never() -> bool:
    """Forbids everything."""
    return False
