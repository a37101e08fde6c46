"""`provision profiles`: what can be asked for by name."""

from __future__ import annotations

from dataclasses import asdict

import click
import msgspec

from provisioner import profiles
from provisioner.cli import output
from provisioner.profiles import lockfiles
from provisioner.report import words


@click.command("profiles")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(as_json: bool) -> None:
    """List the profiles: what they bring, what they need, under which licence."""
    known = [profiles.load(name) for name in profiles.names()]
    if as_json:
        listed = [{**asdict(item), "lock": _lock(item.environment.lock)} for item in known]
        output.document({"schema": 1, "profiles": listed})
        return
    for item in known:
        needs = item.requires
        click.echo(click.style(item.name, bold=True))
        click.echo(f"  {item.summary}")
        click.echo(f"  weights: {_weights(item.model)}")
        gpu = f", {words.size(needs.vram_bytes)} of VRAM" if needs.vram_bytes else ", no GPU"
        click.echo(
            f"  needs {words.count(needs.cores, 'core')}, {words.size(needs.memory_bytes)} of memory, "
            f"{words.size(needs.disk_bytes)} of disk{gpu}"
        )
        if lock := lockfiles.find(item.environment.lock):
            click.echo(f"  lock {lock.name}: {lock.standing}")
        click.echo(f"  licence: {item.license.name}, {item.license.url}")


def _lock(name: str) -> dict[str, object] | None:
    """What is known of a lock that comes with the tool."""
    lock = lockfiles.find(name)
    return None if lock is None else msgspec.to_builtins(lock)


def _weights(model: profiles.Model) -> str:
    if model.files:
        return words.size(sum(item.size for item in model.files))
    return f"about {words.size(model.about_bytes)}" if model.about_bytes else "of unknown size"
