"""`provision down`: take off what was put on, and put back what was there before."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli import options, output
from provisioner.errors import Interrupted, ProvisionError, UsageError
from provisioner.secrecy import masked_arguments

if TYPE_CHECKING:
    from provisioner.engine.down import Looked, Wish
    from provisioner.report.down import DownHost, DownResult
    from provisioner.report.terminal import Terminal


@click.command("down")
@options.where
@click.option(
    "--role", "roles", multiple=True, metavar="NAME", help="Only this role; may be repeated. Default: all."
)
@click.option(
    "--scope",
    type=click.Choice(["auto", "system", "user"]),
    default="auto",
    show_default=True,
    help="Of the whole system, of the user alone, or both.",
)
@click.option("--check", is_flag=True, help="Show what would go; change nothing; exit 5 if anything would.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--keep-weights", is_flag=True, help="Leave the models that were fetched.")
@options.as_json
def command(
    roles: tuple[str, ...], scope: str, check: bool, yes: bool, keep_weights: bool, as_json: bool, **rest: Any
) -> int:
    """Take off exactly what was put on, and put back what was there before.

    What goes is shown first. What somebody has changed since stays, and is named. It refuses to begin where
    the package manager would touch anything else. Interrupting it loses nothing: run it again.
    """
    from provisioner.engine.down import look, wished
    from provisioner.report.down import DownResult, Status
    from provisioner.report.terminal import Terminal

    started = time.monotonic()
    wish = wished(roles, scope, keep_weights=keep_weights)
    where = options.where_from(rest)
    if not (yes or check or sys.stdin.isatty()):
        raise UsageError(
            "down asks before it takes anything off, and there is no terminal to ask on",
            hint="say --yes, or --check to see what would go",
        )
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    hosts = look(options.transports(where), wish)
    _show([host.result for host in hosts], terminal)
    todo = [host for host in hosts if host.result.status is Status.WOULD]
    seconds = time.monotonic() - started
    result = DownResult("down", [host.result for host in hosts], seconds=seconds)
    if todo and not check and (yes or _agreed(todo)):
        result = _act(hosts, todo, wish, terminal, started)
    return _finish(result, terminal, as_json=as_json)


def _show(hosts: Sequence[DownHost], terminal: Terminal) -> None:
    from provisioner.report.down import listed

    for host in hosts:
        terminal.line(f"{host.name}  {host.machine}" if host.machine else host.name)
        if host.scopes:
            terminal.line("  what will be taken off:")
            for text in listed(host):
                terminal.line(f"  {text}")


def _agreed(hosts: Sequence[Looked]) -> bool:
    names = ", ".join(host.result.name for host in hosts)
    return click.confirm(f"take this off {names}?", default=False, err=True)


def _act(
    hosts: Sequence[Looked], todo: Sequence[Looked], wish: Wish, terminal: Terminal, started: float
) -> DownResult:
    from provisioner.engine.down import take_off
    from provisioner.engine.journal import Journal, new_run_id
    from provisioner.report.down import DownResult, write_down_page

    run = new_run_id()
    journal = Journal.open(run)

    def sink(event: Any) -> None:
        journal.event(event)
        terminal.event(event)

    done: dict[str, DownHost] = {}
    error: ProvisionError | None = None
    try:
        done = {host.name: host for host in take_off(todo, wish, sink, run=run)}
    except KeyboardInterrupt:
        error = Interrupted()
    except ProvisionError as caught:
        error = caught
    finally:
        terminal.settle()
        result = DownResult(
            "down",
            [done.get(host.result.name, host.result) for host in hosts],
            run=run,
            folder=str(journal.folder),
            seconds=time.monotonic() - started,
            error=error,
        )
        journal.close({"argv": masked_arguments(sys.argv[1:]), "result": result.to_json()})
        write_down_page(result, Path(journal.folder) / "report.html")
    return result


def _finish(result: DownResult, terminal: Terminal, *, as_json: bool) -> int:
    from provisioner.report.down import ending, next_step

    for host in result.hosts:
        terminal.line(f"{host.name}  {ending(host)}")
        step = next_step(host)
        if step:
            terminal.line(f"  next: {step}")
        if host.exit_code == 0:
            for kept in (kept for one in host.scopes for kept in one.kept):
                terminal.line(f"  stays: {kept.what}: {kept.why}")
    if result.folder:
        terminal.line(f"report: {result.folder}/report.html")
    if result.error is not None:
        output.failure(result.error)
    if as_json:
        output.document(result.to_json())
    return result.exit_code
