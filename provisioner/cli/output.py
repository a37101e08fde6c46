"""Where a verb's words go: errors to standard error, the one document of `--json` to standard output."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from provisioner.errors import ExitCode, ProvisionError

if TYPE_CHECKING:  # `provision --help` loads neither
    from provisioner.report.preflight_words import Line
    from provisioner.report.result import RunResult
    from provisioner.report.terminal import Terminal


def escape_what_cannot_be_shown() -> None:
    """A terminal that knows no UTF-8 gets escapes for what it cannot show, instead of us an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def document(content: Mapping[str, Any]) -> None:
    """Print the JSON document: in UTF-8, or in ASCII where output is not UTF-8."""
    utf_8 = sys.stdout.encoding.lower().replace("_", "-") == "utf-8"
    click.echo(json.dumps(content, ensure_ascii=not utf_8))


_STYLES: dict[str, dict[str, Any]] = {
    "bold": {"bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "doubt": {"fg": "yellow"},
    "dim": {"dim": True},
}
# Where nobody says how wide the terminal is: the width of a page.
_PAGE = 100


def width() -> int:
    """Characters in a line of output."""
    return min(shutil.get_terminal_size((_PAGE, 24)).columns, 120)


def lines(told: Iterable[Line]) -> None:
    """Print lines, in colours on a terminal unless NO_COLOR says otherwise."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in told:
        style = _STYLES.get(line.tone)
        if coloured and style:
            click.echo(click.style(line.mark, **style) + line.text)
        else:
            click.echo(line.plain)


def failure(error: ProvisionError) -> None:
    """What is wrong and the next step, in two lines."""
    click.echo(f"provision: {error.message}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)


def failure_document(error: ProvisionError) -> None:
    """What `--json` prints when a verb ends before it has anything to tell of machines."""
    document({"schema": 1, "exit_code": int(error.code), "error": error.message, "hint": error.hint})


def drop_what_has_no_room() -> None:
    """The interpreter would try to write the rest at its end, complain, and exit with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def finish(result: RunResult, terminal: Terminal, *, as_json: bool) -> ExitCode:
    """The end of every verb that worked on machines: the closing lines, the document, the exit code."""
    terminal.closing(result)
    if result.error is not None:
        failure(result.error)
    if as_json:
        document(result.to_json())
    return result.exit_code
