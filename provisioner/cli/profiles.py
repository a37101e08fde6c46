"""`provision profiles`: what can be asked for by name."""

from __future__ import annotations

from dataclasses import asdict

import click

from provisioner import profiles
from provisioner.cli import output
from provisioner.report import words


@click.command("profiles")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(as_json: bool) -> None:
    """List the profiles: what they bring, what they need, under which licence."""
    known = [profiles.load(name) for name in profiles.names()]
    if as_json:
        output.document({"schema": 1, "profiles": [asdict(item) for item in known]})
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
        click.echo(f"  licence: {item.license.name}, {item.license.url}")


def _weights(model: profiles.Model) -> str:
    if model.files:
        return words.size(sum(item.size for item in model.files))
    return f"about {words.size(model.about_bytes)}" if model.about_bytes else "of unknown size"
