"""The run as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from provisioner.report import words
from provisioner.report.result import RunResult


def write_page(result: RunResult, path: Path) -> None:
    """Render `result` to `path`; the page needs no network and no script."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("provisioner.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2")
    path.write_text(page.render(result=result, words=words), encoding="utf-8", errors="backslashreplace")
