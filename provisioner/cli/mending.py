"""`provision preflight --fix`: what will be mended is said, then done; machines are looked at again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from provisioner.engine.fixes import Fixed, ToFix, apply_fixes
from provisioner.engine.journal import Journal, new_run_id
from provisioner.engine.preflight import Terms, audit_all
from provisioner.hosts.transport import Access, Transport
from provisioner.preflight.fixes import FIXES, FixName, fixes_for
from provisioner.report.preflight import Mended, PreflightHost
from provisioner.report.terminal import Terminal
from provisioner.secrecy import masked_arguments


def mend(
    hosts: Sequence[PreflightHost],
    ways: Sequence[Transport],
    terms: Terms,
    access: Access,
    *,
    check: bool,
    as_json: bool,
) -> list[PreflightHost]:
    """The machines after their fixes, with what was done; with `check` as they are, and what would be."""
    wanted = {host.name: fixes_for(host.findings) for host in hosts}
    if check or not any(wanted.values()):
        return [replace(host, mended=_mended(wanted[host.name], "would")) for host in hosts]
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    for name, fixes in wanted.items():
        for fix in fixes:
            terminal.line(f"{name}  will fix {fix}: {FIXES[fix].does}")
    by_name = {way.target.name: way for way in ways}
    todo = [ToFix(by_name[host.name], wanted[host.name]) for host in hosts]
    fixed = {one.host: one for one in _applied(todo, terminal, access)}
    again = {host.name: host for host in audit_all([by_name[name] for name in fixed], terms)}
    return [_after(again[host.name], fixed[host.name]) if host.name in fixed else host for host in hosts]


def _applied(todo: Sequence[ToFix], terminal: Terminal, access: Access) -> list[Fixed]:
    """Run them, with a journal as every run has that changes something."""
    run = new_run_id()
    journal = Journal.open(run)

    def sink(event: Any) -> None:
        journal.event(event)
        terminal.event(event)

    fixed: list[Fixed] = []
    try:
        fixed = apply_fixes(todo, sink, run=run, access=access)
    finally:
        terminal.settle()
        result = [
            {"name": one.host, "fixes": one.fixes, "error": one.error.message if one.error else None}
            for one in fixed
        ]
        journal.close(
            {"argv": masked_arguments(sys.argv[1:]), "result": {"verb": "preflight", "hosts": result}}
        )
    return fixed


def _after(host: PreflightHost, fixed: Fixed) -> PreflightHost:
    state = "failed" if fixed.error else "done"
    return replace(host, mended=_mended(fixed.fixes, state), unmended=fixed.error)


def _mended(fixes: Sequence[FixName], state: Any) -> tuple[Mended, ...]:
    return tuple(Mended(name, FIXES[name].does, FIXES[name].undo, state) for name in fixes)
