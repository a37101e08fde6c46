"""Writes docs/preflight.md from the rules and their pages.

`python -m scripts.preflight_docs` writes, `--check` only compares (exit 1 on a difference).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from provisioner.preflight import pages
from provisioner.preflight.pages import SECTIONS
from provisioner.preflight.purpose import PURPOSES
from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import RULES

TARGET = Path(__file__).resolve().parents[1] / "docs" / "preflight.md"
HEAD = """\
<!-- Written by scripts/preflight_docs.py from provisioner/preflight/pages and the rules. -->

# What preflight looks at

`provision preflight` asks every rule below; `provision preflight --explain ID` prints one of these pages.
How bad a finding is depends on what the machine is for: `info` is worth knowing, `warn` and `high` should be
looked at, `fail` blocks `provision up`. A finding that is only guessed never blocks.
"""


def render(rules: Sequence[Rule]) -> str:
    """The whole page, rules in the order of their ids."""
    ordered = sorted(rules, key=lambda rule: rule.id)
    return "\n".join([HEAD, *_index(ordered), *(line for rule in ordered for line in _page(rule))])


def _index(rules: Sequence[Rule]) -> Iterator[str]:
    yield "| rule | category | weight | what it looks at |"
    yield "| --- | --- | --- | --- |"
    for rule in rules:
        page = pages.page(rule.id)
        weights = "<br>".join([rule.weight, *_others(rule)])
        link = f"[{rule.id}](#{_anchor(rule.id)})"
        yield f"| {link} | {rule.category} | {weights} | {page.name}: {_first(page)} |"


def _others(rule: Rule) -> Iterator[str]:
    """The purposes for which it weighs something else, those of one weight together."""
    for weight in dict.fromkeys(rule.weights.values()):
        yield f"{weight}: {', '.join(one for one in PURPOSES if rule.weights.get(one) == weight)}"


def _first(page: pages.Page) -> str:
    """The first sentence of what it means, fit for a cell."""
    text = " ".join(page.sections["What it means"].split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.?!]) (?=[A-Z`])", text)[0]
    return sentence.replace("|", "\\|")


def _anchor(identity: str) -> str:
    """What a heading that is only this id is called in a link."""
    return identity.replace(".", "")


def _page(rule: Rule) -> Iterator[str]:
    page = pages.page(rule.id)
    yield from ("", f"## {rule.id}", "", f"**{page.name}**")
    for heading in SECTIONS:
        if heading in page.sections:
            yield from ("", f"### {heading}", "", page.sections[heading])


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 1 when `--check` finds that the page differs."""
    parser = argparse.ArgumentParser(prog="python -m scripts.preflight_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check: bool = parser.parse_args(argv).check
    wanted = render(RULES) + "\n"
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted:
        return 0
    if check:
        print("docs/preflight.md is stale: run python -m scripts.preflight_docs", file=sys.stderr)
        return 1
    TARGET.write_text(wanted, encoding="utf-8")
    print("wrote docs/preflight.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
