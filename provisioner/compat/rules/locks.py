"""The lock of the profile's environment: for which machines it was resolved."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.compat.rules.case import Case, listed, own, seen
from provisioner.compat.rules.systems import never
from provisioner.compat.solver import Constraint, always
from provisioner.profiles import lockfiles


def rules(case: Case) -> Iterator[Constraint]:
    """What the lock serves; nothing for one of the user's own, or a machine of which too little is known."""
    name, box = case.ask.profile.environment.lock, case.box
    lock = lockfiles.find(name)
    if lock is None or not case.kind or not box.arch:
        return
    words = listed(dict.fromkeys(lockfiles.WORDS[place.platform] for place in lock.platforms))
    facts = (
        case.system,
        seen("os.arch", f"{box.arch} here", "another machine"),
        own(f"locks.{name}", f"the environment {name} was resolved for {words}"),
        case.of_profile("lock", f"{case.ask.profile.name} runs in the environment {name}"),
    )
    fine = f"{case.kind}-{box.arch}" in [place.platform for place in lock.platforms]
    yield Constraint(facts, (), always if fine else never)
