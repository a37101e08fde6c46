"""`provision up`: from whatever the machine is to a model that answers."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from provisioner.cli import going_on, options, output
from provisioner.engine.gate import gate
from provisioner.engine.preflight import Terms
from provisioner.engine.reboot import PATIENCE_SECONDS, Restarts, held_up
from provisioner.engine.share import outlook
from provisioner.engine.survey import Surveyed, survey
from provisioner.errors import Interrupted, ProvisionError, UsageError
from provisioner.report.result import HostResult, RunResult, Status
from provisioner.report.terminal import Terminal
from provisioner.secrecy import masked_arguments


@click.command("up")
@options.where
@options.what
@options.system
@click.option(
    "--check", is_flag=True, help="Show what would change; change nothing; exit 5 if anything would."
)
@options.upgrade
@options.judged
@click.option("--no-share", is_flag=True, help="Let each host fetch its weights by itself.")
@click.option("--no-reboot", is_flag=True, help="Never restart a machine; exit 6 where one is needed.")
@click.option("--reboot", is_flag=True, help="Restart this machine too, if needed, and go on after it.")
@click.option(
    "--reboot-timeout",
    type=click.IntRange(min=1),
    default=int(PATIENCE_SECONDS),
    show_default=True,
    metavar="SECONDS",
    help="How long a machine may take to restart.",
)
@options.as_json
def command(
    check: bool,
    no_share: bool,
    no_reboot: bool,
    reboot: bool,
    reboot_timeout: int,
    as_json: bool,
    **rest: Any,
) -> int:
    """Find out what machines are, show what will change, change it, and let the model answer.

    Run again it confirms in about a second that there is nothing to do. Interrupting it loses nothing. Where
    a driver or a kernel option needs it, machines reached over SSH are restarted; this one is with --reboot.
    """
    started = time.monotonic()
    where = options.where_from(rest)
    settings = options.settings_from(rest, where)
    purpose, ignore = options.judged_from(rest)
    terms = Terms(purpose, ignore)
    if reboot and no_reboot:
        raise UsageError("--reboot and --no-reboot together", hint="say one of them")
    goes_on = going_on.from_command_line(sys.argv[1:], where) if reboot else None
    restarts = Restarts(elsewhere=not no_reboot, patience=float(reboot_timeout))
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    hosts = gate(held_up(survey(options.transports(where), settings), restarts), terms)
    _show(hosts, terminal, check=check)
    drifted = [host for host in hosts if host.result.status is Status.DRIFTED]
    if check and not no_share:
        for text in outlook(hosts):
            terminal.line(text)
    if check or not drifted:
        unacted = [_unacted(host.result) for host in hosts]
        ended = going_on.said(unacted, hosts, None if check else goes_on)
        result = RunResult("up", ended, seconds=time.monotonic() - started)
    else:
        result = _act(hosts, settings, terms, where, terminal, started, not no_share, restarts, goes_on)
    for host in result.hosts:
        # What ended the whole run is said once, below.
        if result.error is None or host.error != result.error.message:
            terminal.ended(host)
    code = output.finish(result, terminal, as_json=as_json)
    if goes_on is not None and not check:
        going_on.restart(result.hosts, hosts)
    return code


def _show(hosts: list[Surveyed], terminal: Terminal, *, check: bool = False) -> None:
    for host in hosts:
        terminal.found(host.result)
        terminal.findings(host.result)
        if host.result.status not in (Status.BLOCKED, Status.REBOOT):
            terminal.changes(host.result, "would run" if check else "will run")


def _to_show(host: Surveyed) -> bool:
    return host.result.status in (Status.DRIFTED, Status.BLOCKED)


def _unacted(host: HostResult) -> HostResult:
    return replace(host, status=Status.WOULD_CHANGE) if host.status is Status.DRIFTED else host


def _cut(host: HostResult, error: ProvisionError | None) -> HostResult:
    """A host whose run was ended by what ended the whole run."""
    return host.failed(error) if error is not None and host.status is Status.DRIFTED else host


def _act(
    hosts: list[Surveyed],
    settings: Any,
    terms: Terms,
    where: options.Where,
    terminal: Terminal,
    started: float,
    share: bool,
    restarts: Restarts,
    goes_on: going_on.GoesOn | None,
) -> RunResult:
    from provisioner.engine.converge import converge, give_python, plan_record
    from provisioner.engine.journal import Journal, new_run_id
    from provisioner.report.page import write_page

    run = new_run_id()
    journal = Journal.open(run)

    def sink(event: Any) -> None:
        journal.event(event)
        terminal.event(event)

    done: dict[str, HostResult] = {}
    error: ProvisionError | None = None
    try:
        if any(host.bare for host in hosts):
            bare = {host.result.name for host in hosts if host.bare}
            hosts = give_python(hosts, settings, sink, run=run, access=where.access)
            hosts = gate(hosts, terms)
            terminal.settle()
            _show([host for host in hosts if host.result.name in bare and _to_show(host)], terminal)
        for ended in converge(
            hosts, settings, sink, run=run, access=where.access, share=share, restarts=restarts
        ):
            done[ended.name] = ended
    except ProvisionError as caught:
        error = caught
    except KeyboardInterrupt:
        error = Interrupted()
    finally:
        terminal.settle()
        results = [done.get(host.result.name) or _cut(host.result, error) for host in hosts]
        results = going_on.said(results, hosts, goes_on if error is None else None)
        result = RunResult(
            "up",
            results,
            run=run,
            folder=str(journal.folder),
            seconds=time.monotonic() - started,
            error=error,
        )
        journal.close(
            {
                "argv": masked_arguments(sys.argv[1:]),
                "plans": {host.name: plan_record(host) for host in results},
                "result": result.to_json(),
            }
        )
        write_page(result, Path(journal.folder) / "report.html")
    return result
