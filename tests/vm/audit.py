"""What the product says of a virtual machine: findings over SSH, and what differs between two machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from provisioner.facts import Facts
from provisioner.preflight.judge import preflight
from provisioner.preflight.purpose import Purpose
from tests.integration.cli import Provision

from .machine import VirtualMachine, up
from .states import Flip, Seen, State, named

Findings = Mapping[tuple[str, str], Seen]
"""By id and subject."""

BLOCKED = 3
AUDIT_SECONDS = 180  # two on a free core
PLAIN_USER = "guest"  # has no way to become root
# What these observe is a number that no two boots share to the last digit, or the command line, by which a
# state is made: how it is judged is compared.
OWN = {"clock.sane", "kernel.options", "memory.size", "storage.space"}
# What these observe without root is another sign of the same: /proc/iomem is all zeros then.
OTHER_SIGNS = {"pci.above-4g"}
OWN_FOLDER = f"folder:/home/{PLAIN_USER}/"


@dataclass(frozen=True)
class Audited:
    """One state as the audit saw it: what the command said to root, the facts it went by, and what it said
    to a user who cannot become root.
    """

    state: State
    findings: Findings
    facts: Facts
    rootless: Findings

    def judged(self, purpose: Purpose) -> Findings:
        """The findings of a box that is for something else: the same facts, weighed anew."""
        return by_subject(asdict(one) for one in preflight(self.facts, purpose=purpose).findings)


def look(state: State, folder: Path) -> Audited:
    """Boot a machine in this state, audit it over SSH both ways, and end it."""
    with up(state, f"test-{folder.name}-{state.name}"[:42].rstrip("-"), bound=True) as machine:
        provision = Provision(folder / state.name)
        root, rootless = (audit(provision, machine, user) for user in ("root", PLAIN_USER))
        return Audited(
            state, by_subject(root["findings"]), Facts.decode(root["facts"]), by_subject(rootless["findings"])
        )


def audit(provision: Provision, machine: VirtualMachine, user: str) -> dict[str, Any]:
    """`provision preflight` as a user types it; AssertionError with all it said when it could not look."""
    where = ("--host", machine.alias(user), "--ssh-config", str(machine.ssh_config))
    said = provision("preflight", *where, "--no-network", "--json", timeout=AUDIT_SECONDS)
    assert said.code in (0, BLOCKED), said.text
    host: dict[str, Any] = said.host(machine.alias(user))
    return host


def by_subject(findings: Iterable[Mapping[str, Any]]) -> Findings:
    """The findings of a document."""
    return {
        (one["id"], one["subject"]): (
            one["status"],
            one["severity"],
            "its own" if one["id"] in OWN else one["observed"],
        )
        for one in findings
    }


def flips(before: Findings, after: Findings, purpose: Purpose | Literal[""] = "") -> set[Flip]:
    """Everything that differs between two machines."""
    return {
        Flip(key[0], before.get(key), after.get(key), key[1], purpose)
        for key in {*before, *after}
        if before.get(key) != after.get(key)
    }


def all_flips(before: Audited, after: Audited) -> set[Flip]:
    """The same for every purpose of the state; one that every purpose has is told once."""
    plain = flips(before.findings, after.findings)
    found = set(plain)
    for purpose in after.state.purposes:
        special = flips(before.judged(purpose), after.judged(purpose), purpose)
        found |= {flip for flip in special if replace(flip, purpose="") not in plain}
    return found


def contradictions(root: Findings, rootless: Findings) -> dict[tuple[str, str], tuple[Seen | None, Seen]]:
    """What a user without rights was told as sure and root is told otherwise. Less may be known, not else.

    Folders of the user's own are no concern of root's.
    """
    return {
        key: (root.get(key), seen)
        for key, seen in rootless.items()
        if not _agree(key[0], root.get(key), seen)
        and seen[0] not in ("unknown", "not_applicable")
        and not key[1].startswith(OWN_FOLDER)
    }


def _agree(rule: str, one: Seen | None, other: Seen) -> bool:
    return one is not None and (one[:2] == other[:2] if rule in OTHER_SIGNS else one == other)


def table(state: State, found: set[Flip]) -> str:
    """The flips as they would stand in states.py, for whoever has to change them."""
    lines = [f"{state.name} beside {state.base}:"]
    for flip in sorted(found, key=lambda one: (one.purpose, one.id, one.subject)):
        rest = "".join(
            f", {name}={value!r}"
            for name, value in (("subject", flip.subject), ("purpose", flip.purpose))
            if value
        )
        lines.append(f"    Flip({flip.id!r}, {flip.before!r}, {flip.after!r}{rest}),")
    return "\n".join(lines)


def beside(state: State) -> State:
    """The machine that a state is compared with."""
    return named(state.base)
