"""`provision preflight`: what firmware, slots, memory and disks really are, before anything is put there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli import options, output
from provisioner.errors import UsageError

if TYPE_CHECKING:
    from provisioner.report.preflight import PreflightHost
    from provisioner.report.preflight_words import Line


@click.command("preflight")
@options.where
@options.judged
@click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR", help="A recorded machine's /proc and /sys."
)
@click.option("--strict", is_flag=True, help="Warnings end in 3 too.")
@click.option("--no-network", is_flag=True, help="Ask no mirror for an answer.")
@click.option("--all", "everything", is_flag=True, help="Show what is fine too, and where it was read.")
@options.as_json
def command(
    root: Path | None, strict: bool, no_network: bool, everything: bool, as_json: bool, **rest: Any
) -> int:
    """Say what machines really are and what stands in the way of a model there; changes nothing.

    Each check says pass, warn or fail, or why nobody can tell. Exit 0: nothing blocks; 3: something does.
    """
    from provisioner.engine.preflight import Terms, audit_all, audit_recorded
    from provisioner.report.preflight import exit_code, preflight_json

    where = options.where_from(rest)
    purpose, ignore = options.judged_from(rest)
    terms = Terms(purpose, ignore, strict, network=not no_network and root is None)
    if root is not None:
        if where.hosts or where.inventories:
            raise UsageError("--root together with --host or -i", hint="leave one of them out")
        hosts = [audit_recorded(recorded_machine(root), terms)]
    else:
        hosts = audit_all(options.transports(where), terms)
    if as_json:
        output.document(preflight_json(hosts))
    else:
        output.lines(_told(hosts, everything=everything))
    return exit_code(hosts)


def recorded_machine(root: Path) -> str:
    """The folder of a recorded machine, as a whole path. Raises UsageError for one that is none."""
    holds = "it must hold the proc and sys of a machine"
    if not root.exists():
        raise UsageError(f"--root {root}: no such folder", hint=holds)
    if not root.is_dir():
        raise UsageError(f"--root {root}: a file", hint=f"name a folder; {holds}")
    for part in ("proc", "sys"):
        if not (root / part).is_dir():
            raise UsageError(f"--root {root}: no recorded machine: there is no {part} in it", hint=holds)
    return str(root.absolute())


def _told(hosts: Sequence[PreflightHost], *, everything: bool) -> Iterator[Line]:
    from provisioner.report.preflight_words import text

    for host in hosts:
        yield from text(host, everything=everything, width=output.width())
