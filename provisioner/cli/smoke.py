"""`provision smoke`: let the model answer again, now, whatever its receipt says."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from provisioner.cli import options, output
from provisioner.report.result import RunResult
from provisioner.report.terminal import Terminal


@click.command("smoke")
@options.where
@options.what
@options.as_json
def command(as_json: bool, **rest: Any) -> int:
    """Generate on machines that are provisioned, and show the sentence and its speed. Writes no receipt."""
    from provisioner.engine.smoke import smoke
    from provisioner.engine.survey import survey

    started = time.monotonic()
    where = options.where_from(rest)
    settings = options.settings_from(rest, where)
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    results = smoke(survey(options.transports(where), settings), where.access, terminal.event)
    terminal.settle()
    result = RunResult("smoke", results, seconds=time.monotonic() - started)
    for host in results:
        terminal.found(host)
        terminal.ended(host)
    return output.finish(result, terminal, as_json=as_json)
