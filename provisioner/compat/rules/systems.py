"""Who may do what: the whole system with root, or one user's folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from provisioner.compat.rules.case import Case, asked, known, own, seen
from provisioner.compat.solver import Constraint, Fact
from provisioner.compat.systems import unserved

SCOPE = "scope"
_MORE_RIGHTS = "log in as root, or let the user use sudo (with -K to give the password)"


def domain(case: Case) -> tuple[str, ...]:
    """The scopes, the preferred one first."""
    return ("system", "user")


def rules(case: Case) -> Iterator[Constraint]:
    """What forbids a scope."""
    scope = case.ask.scope
    if scope != "auto":
        fact = asked("request.scope", f"--scope {scope}", "leave --scope out")
        yield Constraint((fact,), (SCOPE,), lambda value: value == scope)
    if not case.box.root:
        yield Constraint((no_root(case),), (SCOPE,), _is_user)
    yield from _served(case)
    if case.box.python is None and "python" not in case.box.unknown:
        missing = seen("python", "python3 is missing", "install python3")
        rule = own("tool.user_scope", "without root nothing is installed on the system")
        yield Constraint((missing, rule), (SCOPE,), _is_system)


def no_root(case: Case) -> Fact:
    """That nobody is root."""
    return seen("user.root", f"{case.box.user} is not root here and sudo does not work", _MORE_RIGHTS)


def _served(case: Case) -> Iterator[Constraint]:
    entry = unserved(case.box.facts.os)
    if entry is None:
        return
    facts = [
        Fact(f"unserved.{case.box.facts.os.id}.{number}", text, "data", entry.source, entry.confidence)
        for number, text in enumerate(entry.because, 1)
    ]
    # Told on this chain only: what another system would be is known here.
    system = replace(case.system, id="os.served", change=entry.change)
    yield Constraint((system, *facts), (SCOPE,), _is_user)


def _is_user(scope: str) -> bool:
    return scope == "user"


def _is_system(scope: str) -> bool:
    return scope == "system"
