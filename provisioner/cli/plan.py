"""`provision plan`: what goes on a box and what fits in its memory, before anything is done, or bought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from provisioner.cli import boxes, options, output
from provisioner.errors import ProvisionError, UsageError

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
@click.option("--cuda", metavar="VERSION", help="A toolkit, such as 12.8, or none.")
@click.option("--branch", metavar="NUMBER", help="A driver's branch, such as 580, or keep.")
@click.option("--route", metavar="WAY", help="How driver and toolkit are installed, such as runfile.")
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

    profile: str | None
    overrides: Mapping[str, Any]
    wish: Any
    terms: Any


Planner = Callable[[Any], Any]


def _planner(model: str | None, said: dict[str, Any]) -> Planner:
    """Facts → Outline. What cannot be meant is said, and headers are read, before any machine is asked."""
    from provisioner import profiles
    from provisioner.compat.described import described
    from provisioner.compat.outline import Terms, of_profile
    from provisioner.compat.ways import Wish, quantization
    from provisioner.sizing.model import Load

    overrides, variables = options.assigned(said["assignments"])
    if variables:
        raise UsageError(
            f"--set {next(iter(variables))}: a variable of a role, which no plan goes by",
            hint="say it to provision up; here --set takes fields of a profile, such as requires.cores",
        )
    if said["quantization"]:
        quantization(said["quantization"])
    settings = _Settings(
        profile=said["profile"],
        overrides=overrides,
        wish=Wish(
            said["runtime"], said["quantization"], Load(said["context"], said["batch"], said["images"])
        ),
        terms=Terms(
            said["cuda"],
            said["require_gpu"],
            said["upgrade"],
            own_lock="environment.lock" in overrides,
            branch=said["branch"],
            route=said["route"],
        ),
    )
    if said["cuda"] or said["branch"] or said["route"]:
        # What nobody knows is said before any machine is asked, and of none.
        of_profile(described(), profiles.load(profiles.DEFAULT_WITH_GPU), Wish(), settings.terms)
    return _of_default(settings) if model is None else _of_named(model, settings)


def _of_named(model: str, settings: _Settings) -> Planner:
    from provisioner import profiles
    from provisioner.compat.outline import of_model, of_profile
    from provisioner.nearest import nearest_hint
    from provisioner.sizing import catalogue

    base = profiles.load(settings.profile, settings.overrides) if settings.profile else None
    of_a_profile = model in profiles.names() or model.endswith((".yml", ".yaml"))
    if settings.overrides and base is None and not of_a_profile:
        raise UsageError(
            f"--set {next(iter(settings.overrides))}: {model} has no profile that it would change",
            hint="say whose settings it takes: --profile NAME",
        )
    if model.startswith(SOURCES):
        from provisioner.checkpoints import checkpoint

        found = checkpoint(model, base.runtime if base else settings.wish.runtime or "transformers")
        return lambda facts: of_model(facts, found.name, found.shape, settings.wish, settings.terms, base)
    if of_a_profile:
        if base is not None and settings.profile != model:
            raise UsageError(
                f"{model} and --profile {settings.profile}: two profiles", hint="say one of them"
            )
        profile = profiles.load(model, settings.overrides)
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
    from provisioner.compat.plan import route_note
    from provisioner.compat.request import Settings, blaming_the_box, remembered

    if settings.profile is not None:
        profiles.load(settings.profile, settings.overrides)
    said = Settings(
        profile=settings.profile, profile_overrides=settings.overrides, upgrade=settings.terms.upgrade
    )

    def plan(facts: Any) -> Any:
        asked = remembered(facts, said)
        with blaming_the_box(said, asked):
            choice = choose(facts, asked, settings.terms, settings.wish)
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
