"""`provision facts`: what the probe reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from provisioner.cli import options, output
from provisioner.errors import ExitCode, ProvisionError
from provisioner.facts import Facts
from provisioner.report import words
from provisioner.secrecy import masked


@click.command("facts")
@options.where
@options.as_json
def command(as_json: bool, **rest: Any) -> int:
    """Read what machines are: system, processor, memory, GPUs, disks, receipts. Changes nothing."""
    from provisioner.engine.survey import PROBE
    from provisioner.hosts.gather import probe_all

    transports = {way.target.name: way for way in options.transports(options.where_from(rest))}
    answers = probe_all(transports, PROBE)
    document: dict[str, Any] = {}
    failed = False
    for name, answer in answers.items():
        try:
            facts = _facts(name, answer)
        except ProvisionError as error:
            failed = True
            document[name] = {"error": error.message, "hint": error.hint}
            output.failure(error)
            continue
        document[name] = masked(facts.to_json())
        if not as_json:
            _show(name, facts)
    if as_json:
        output.document({"schema": 1, "hosts": document})
    return ExitCode.FAILED if failed else ExitCode.DONE


def _facts(name: str, answer: Mapping[str, Any] | ProvisionError) -> Facts:
    if isinstance(answer, ProvisionError):
        raise answer
    try:
        return Facts.decode(answer)
    except ProvisionError as error:
        raise ProvisionError(f"{name}: {error.message}", hint=error.hint) from error


def _show(name: str, facts: Facts) -> None:
    click.echo(f"{click.style(name, bold=True)}  {words.machine(facts)}")
    click.echo(f"  kernel {facts.os.kernel}, {facts.os.arch}, {facts.os.libc} {facts.os.libc_version}")
    python = f"Python {facts.python.version} at {facts.python.executable}" if facts.python else "no Python"
    click.echo(f"  {python}; the probe ran as {facts.user.name or facts.user.uid}")
    for path, disk in facts.disks.items():
        click.echo(
            f"  {path}: {words.size(disk.free_bytes)} free of {words.size(disk.total_bytes)} ({disk.fs})"
        )
    for receipt in facts.receipts:
        when = receipt.body.written_at if receipt.body else receipt.error
        click.echo(f"  receipt {receipt.role} ({receipt.scope}): {when}")
    for unknown in facts.unknown:
        click.echo(f"  unknown: {unknown.what}, because {unknown.why}")
