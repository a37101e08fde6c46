"""Documents that are kept beside cases and compared whole: named where they differ, renewed, or shown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Kept(Protocol):
    """A case, by its name, and the file that holds what is right for it."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> Path: ...


Case = TypeVar("Case", bound=Kept)


def written(document: Mapping[str, Any]) -> str:
    """A document as its file holds it."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def run(
    argv: Sequence[str] | None,
    parser: argparse.ArgumentParser,
    cases: Sequence[Case],
    now: Callable[[Case], Mapping[str, Any]],
    show: Callable[[Case], str],
) -> int:
    """The command of a script that keeps documents: `now` is what is said now, `show` the same for a person.

    Exit 1 when documents differ, or are missing, and are not written.
    """
    parser.add_argument("case", nargs="*", help="none: all")
    parser.add_argument("--write", action="store_true", help="renew the documents")
    parser.add_argument("--show", action="store_true", help="print them as a person reads them")
    options = parser.parse_args(argv)
    known = {case.name: case for case in cases}
    if unknown := sorted(set(options.case) - set(known)):
        parser.error(f"no case {unknown[0]}")
    which = [known[name] for name in options.case or known]
    if options.show:
        for case in which:
            print(show(case))
        return 0
    stale = 0
    for case in which:
        said = written(now(case))
        if case.path.is_file() and case.path.read_text("utf-8") == said:
            continue
        stale += 1
        if options.write:
            case.path.write_text(said, encoding="utf-8")
        print(f"{'wrote' if options.write else 'differs:'} {case.path.name}")
    return 0 if options.write or not stale else 1
