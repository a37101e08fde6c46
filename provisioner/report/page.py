"""A run, or a plan, as one self-contained HTML page: it needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioner.report import words
from provisioner.report.result import HostResult, RunResult

if TYPE_CHECKING:
    from provisioner.report.plan import PlannedHost
    from provisioner.report.plan_words import Block


def write_page(result: RunResult, path: Path) -> None:
    """Render the result of a run to `path`, with the plan of each host that has one."""
    from provisioner.report.picture import bars
    from provisioner.report.plan import PlannedHost
    from provisioner.report.plan_words import blocks

    def told(host: HostResult) -> list[Block]:
        return blocks(PlannedHost(host.name, host.outline), why=True)

    _write("report.html.j2", path, result=result, words=words, blocks=told, bars=bars)


def write_plan_page(hosts: Sequence[PlannedHost], path: Path) -> None:
    """Render plans to `path`, each with a picture of its memory."""
    from provisioner.report.picture import bars
    from provisioner.report.plan_words import blocks

    _write("plan.html.j2", path, hosts=hosts, words=words, blocks=blocks, bars=bars)


def _write(template: str, path: Path, **told: Any) -> None:
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("provisioner.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(**told)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
