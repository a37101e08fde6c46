"""What the product says of a virtual machine: findings over SSH, and what differs between two machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cli import Provision

from .machine import VirtualMachine, up
from .states import Flip, Seen, State, named

Findings = Mapping[tuple[str, str], Seen]
"""By id and subject."""

BLOCKED = 3
PLAIN_USER = "guest"  # has no way to become root
OWN_FOLDER = f"folder:/home/{PLAIN_USER}/"


@dataclass(frozen=True)
class Audited:
    """One state as the audit saw it, as root and as a user who cannot become root."""

    state: State
    findings: Findings
    rootless: Findings


def look(state: State, folder: Path) -> Audited:
    """Boot a machine in this state, audit it over SSH both ways, and end it."""
    with up(state, f"test-{folder.name}-{state.name}"[:42].rstrip("-"), bound=True) as machine:
        provision = Provision(folder / state.name)
        root = findings(provision, machine, state.purpose)
        return Audited(state, root, findings(provision, machine, state.purpose, PLAIN_USER))


def findings(provision: Provision, machine: VirtualMachine, purpose: str, user: str = "root") -> Findings:
    """`provision preflight` as a user types it; AssertionError with all it said when it could not look."""
    where = ("--host", machine.alias(user), "--ssh-config", str(machine.ssh_config), "--no-network", "--json")
    said = provision("preflight", *where, *(["--purpose", purpose] if purpose else []), timeout=120)
    assert said.code in (0, BLOCKED), said.text
    return in_document(said.document)


def in_document(document: Mapping[str, Any]) -> Findings:
    """The findings of a document about one machine."""
    (host,) = document["hosts"]
    return {
        (one["id"], one["subject"]): (one["status"], one["severity"], one["observed"])
        for one in host["findings"]
    }


def flips(before: Findings, after: Findings) -> set[Flip]:
    """Everything that differs between two machines."""
    return {
        Flip(*key[:1], before.get(key), after.get(key), subject=key[1])
        for key in {*before, *after}
        if before.get(key) != after.get(key)
    }


def contradictions(root: Findings, rootless: Findings) -> dict[tuple[str, str], tuple[Seen | None, Seen]]:
    """What a user without rights was told as sure and root is told otherwise. Less may be known, not else.

    Folders of the user's own are no concern of root's.
    """
    return {
        key: (root.get(key), seen)
        for key, seen in rootless.items()
        if seen != root.get(key)
        and seen[0] not in ("unknown", "not_applicable")
        and not key[1].startswith(OWN_FOLDER)
    }


def table(state: State, found: set[Flip]) -> str:
    """The flips as they would stand in states.py, for whoever has to change them."""
    lines = [f"{state.name} beside {state.base}:"]
    for flip in sorted(found, key=lambda one: (one.id, one.subject)):
        subject = f", {flip.subject!r}" if flip.subject else ""
        lines += [
            f"    Flip({flip.id!r},",
            f"         {flip.before!r},",
            f"         {flip.after!r}{subject}),",
        ]
    return "\n".join(lines)


def beside(state: State) -> State:
    """The machine that a state is compared with."""
    return named(state.base)
