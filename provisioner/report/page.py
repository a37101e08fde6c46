"""A run, or a plan, as one self-contained HTML page: it needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioner.report import words
from provisioner.secrecy import without_logins

if TYPE_CHECKING:  # each page's own parts are loaded when it is written
    from provisioner.report.plan import PlannedHost
    from provisioner.report.plan_words import Block
    from provisioner.report.preflight import PreflightHost
    from provisioner.report.result import HostResult, RunResult


def write_page(result: RunResult, path: Path) -> None:
    """Render the result of a run to `path`, with the plan and the findings of each host that has them."""
    from provisioner.report import preflight_words
    from provisioner.report.doing import doing
    from provisioner.report.picture import bars
    from provisioner.report.plan import PlannedHost
    from provisioner.report.plan_words import blocks
    from provisioner.report.preflight import PreflightHost

    def told(host: HostResult) -> list[Block]:
        return blocks(PlannedHost(host.name, host.outline), why=True)

    def audited(host: HostResult) -> PreflightHost:
        return PreflightHost(host.name, host.facts, host.preflight)

    write(
        "report.html.j2",
        path,
        result=result,
        words=words,
        preflight_words=preflight_words,
        blocks=told,
        bars=bars,
        audited=audited,
        doing=doing,
    )


def write_plan_page(hosts: Sequence[PlannedHost], path: Path) -> None:
    """Render plans to `path`, each with a picture of its memory."""
    from provisioner.report.picture import bars
    from provisioner.report.plan_words import blocks

    write("plan.html.j2", path, hosts=hosts, words=words, blocks=blocks, bars=bars)


def write_preflight_page(hosts: Sequence[PreflightHost], path: Path) -> None:
    """Render findings to `path`: of several machines a table first, then each in full."""
    from provisioner.report import fleet, preflight_words
    from provisioner.report.siblings import siblings

    many = len(hosts) > 1
    write(
        "preflight.html.j2",
        path,
        hosts=hosts,
        words=words,
        preflight_words=preflight_words,
        rows=fleet.matrix(hosts) if many else [],
        siblings=siblings(hosts) if many else [],
        tones={"blocking": "bad", "serious": "bad", "warning": "doubt", "senseless": "doubt", "fine": "good"},
    )


def write(template: str, path: Path, **told: Any) -> None:
    """Render one of the templates to `path`."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("provisioner.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["hide"] = without_logins
    page = environment.get_template(template).render(**told)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
