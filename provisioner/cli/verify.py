"""`provision verify`: is everything still as the receipts and the assertions say?"""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from provisioner.cli import options, output
from provisioner.report.result import RunResult
from provisioner.report.terminal import Terminal


@click.command("verify")
@options.where
@options.what
@click.option("--deep", is_flag=True, help="Read all weights again, and say what in them is wrong.")
@options.as_json
def command(deep: bool, as_json: bool, **rest: Any) -> int:
    """Compare machines with their receipts and with what each role asserts, item by item.

    Weights count as right while their size, time and inode are those of the files whose digests were checked;
    --deep reads them. Changes nothing. Exit 0: all as it should be; 5: drift, each item named.
    """
    from provisioner.engine.verify import verify

    started = time.monotonic()
    where = options.where_from(rest)
    settings = options.settings_from(rest, where)
    results = verify(options.transports(where), settings, deep=deep)
    result = RunResult("verify", results, seconds=time.monotonic() - started)
    terminal = Terminal(sys.stderr if as_json else sys.stdout)
    for host in results:
        terminal.found(host)
        terminal.drift(host)
        terminal.ended(host)
    return output.finish(result, terminal, as_json=as_json)
