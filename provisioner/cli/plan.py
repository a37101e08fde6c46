"""`provision plan`: what goes on a box and what fits in its memory, before anything is done, or bought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli import boxes, options, output
from provisioner.errors import ProvisionError, UsageError

if TYPE_CHECKING:  # help needs no planner
    from provisioner.compat.outline import Terms
    from provisioner.compat.request import Settings
    from provisioner.compat.ways import Wish

RUNTIMES = ("transformers", "vllm", "llama", "sglang")
SOURCES = ("hf:", "modelscope:", "https:", "http:", "path:")
OF_RECORDED = "recorded"


@click.command("plan")
@click.argument("model", required=False)
@options.where
@boxes.described
@options.profile
@options.assignments
@click.option("--runtime", type=click.Choice(RUNTIMES), help="Default: the profile's, or the best there is.")
@click.option("--quantization", metavar="KIND", help="int8, nf4, gptq4, awq4, Q4_K_M, …; none: as published.")
@click.option(
    "--context", type=click.IntRange(1), default=4096, show_default=True, help="Tokens of each request."
)
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Requests at a time.")
@click.option("--images", type=click.IntRange(0), default=0, show_default=True, help="In each request.")
@options.system
@options.require_gpu
@options.upgrade
@click.option("--why", is_flag=True, help="Show what it rests on: each fact, its source and how sure it is.")
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write it as a page, with a picture."
)
@options.as_json
def command(model: str | None, why: bool, html: Path | None, as_json: bool, **rest: Any) -> int:
    """Say what goes on a box by which way and what fits in its memory, or why that is impossible.

    MODEL is a profile, a known model, or hf:, modelscope:, https: or path: (of this machine; only headers are
    read); without it, what `provision up` would choose. The box is this machine, those of --host or -i, a
    recorded one (--root), or one in words (--gpu, --os, --memory, …) that nobody needs to have yet.
    """
    where = options.where_from(rest)
    elsewhere = bool(where.hosts or where.inventories)
    described = boxes.description_from(rest, elsewhere=elsewhere, require_gpu=rest["require_gpu"])
    options.to_write({"--html": html})
    planner = _planner(model, rest)
    if described is not None:
        name = described.hostname or OF_RECORDED
        hosts = [_planned(name, described, planner)]
    else:
        hosts = _of_machines(where, planner)
    from provisioner.report.plan import exit_code, plan_json

    if as_json:
        output.document(plan_json(hosts))
    else:
        from provisioner.report import words
        from provisioner.report.plan_words import text

        for host in hosts:
            facts = host.outline.facts if host.outline else None
            click.echo(
                "  ".join([click.style(host.name, bold=True), *([words.machine(facts)] if facts else [])])
            )
            for line in text(host, why=why):
                click.echo(line)
    if html is not None:
        from provisioner.report.page import write_plan_page

        write_plan_page(hosts, html)
        click.echo(f"page: {html}", err=as_json)
    return exit_code(hosts)


@dataclass(frozen=True)
class _Settings:
    """What is the same for every box."""

    said: Settings
    wish: Wish

    @property
    def terms(self) -> Terms:
        """What is asked for beside the model, where nothing is remembered."""
        from provisioner.compat.plan import terms_of

        return terms_of(self.said)


Planner = Callable[[Any], Any]


def _planner(model: str | None, said: dict[str, Any]) -> Planner:
    """Facts → Outline. What cannot be meant is said, and headers are read, before any machine is asked."""
    from provisioner.compat.request import Settings
    from provisioner.compat.wanted import PLANNED
    from provisioner.compat.ways import Wish, quantization
    from provisioner.sizing.model import Load

    overrides, variables = options.assigned(said["assignments"])
    others = [name for name in variables if name not in PLANNED]
    if others:
        raise UsageError(
            f"--set {others[0]}: a variable of a role, which no plan goes by",
            hint="say it to provision up; here --set takes fields of a profile, such as requires.cores, and "
            "what is asked of driver and toolkit, such as nvidia_driver_modules",
        )
    options.system_from(said, variables)
    if said["quantization"]:
        quantization(said["quantization"])
    settings = _Settings(
        said=Settings(
            profile=said["profile"],
            profile_overrides=overrides,
            variables=variables,
            require_gpu=said["require_gpu"],
            upgrade=said["upgrade"],
        ),
        wish=Wish(
            said["runtime"], said["quantization"], Load(said["context"], said["batch"], said["images"])
        ),
    )
    return _of_default(settings) if model is None else _of_named(model, settings)


def _of_named(model: str, settings: _Settings) -> Planner:
    from provisioner import profiles
    from provisioner.compat.outline import of_model, of_profile
    from provisioner.nearest import nearest_hint
    from provisioner.sizing import catalogue

    named, overrides = settings.said.profile, settings.said.profile_overrides
    base = profiles.load(named, overrides) if named else None
    of_a_profile = model in profiles.names() or model.endswith((".yml", ".yaml"))
    if overrides and base is None and not of_a_profile:
        raise UsageError(
            f"--set {next(iter(overrides))}: {model} has no profile that it would change",
            hint="say whose settings it takes: --profile NAME",
        )
    if model.startswith(SOURCES):
        from provisioner.checkpoints import checkpoint

        found = checkpoint(model, base.runtime if base else settings.wish.runtime or "transformers")
        return lambda facts: of_model(facts, found.name, found.shape, settings.wish, settings.terms, base)
    if of_a_profile:
        if base is not None and named != model:
            raise UsageError(f"{model} and --profile {named}: two profiles", hint="say one of them")
        profile = profiles.load(model, overrides)
        return lambda facts: of_profile(facts, profile, settings.wish, settings.terms)
    known = {name.lower(): name for name in catalogue.known()}
    if model.lower() not in known:
        names = [*profiles.names(), *known.values()]
        raise UsageError(
            f"unknown model {model}", hint=f"{nearest_hint(model, names)}; or say hf:organisation/name"
        )
    shape = catalogue.shape(known[model.lower()])
    return lambda facts: of_model(facts, shape.name, shape, settings.wish, settings.terms, base)


def _of_default(settings: _Settings) -> Planner:
    from provisioner import profiles
    from provisioner.compat.choose import choose
    from provisioner.compat.plan import route_note, terms_of
    from provisioner.compat.request import blaming_the_box, remembered

    said = settings.said
    if said.profile is not None:
        profiles.load(said.profile, said.profile_overrides)

    def plan(facts: Any) -> Any:
        asked = remembered(facts, said)
        with blaming_the_box(said, asked):
            choice = choose(facts, asked, terms_of(asked), settings.wish)
            if not choice.outline.possible:
                return choice.outline
            notes = (*route_note(facts, choice), *choice.outline.notes)
            return replace(choice.outline, notes=notes)

    return plan


def _of_machines(where: options.Where, planner: Planner) -> list[Any]:
    from provisioner.engine.survey import PROBE
    from provisioner.facts import Facts
    from provisioner.hosts.gather import probe_all
    from provisioner.report.plan import PlannedHost

    ways = {way.target.name: way for way in options.transports(where)}
    hosts = []
    for name, found in probe_all(ways, PROBE).items():
        try:
            if isinstance(found, ProvisionError):
                raise found
            hosts.append(_planned(name, Facts.decode(found), planner))
        except UsageError:
            raise
        except ProvisionError as error:
            hosts.append(PlannedHost(name, error=error))
    return hosts


def _planned(name: str, facts: Any, planner: Planner) -> Any:
    from provisioner.report.plan import PlannedHost

    return PlannedHost(name, planner(facts))
