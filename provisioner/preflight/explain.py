"""A rule's page as text for a terminal, or as data; from the same pages docs/preflight.md is made."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.preflight import pages
from provisioner.preflight.pages import SECTIONS
from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import RULES

WIDTH = 100
_ITEMS = ("- ", "* ", *(f"{number}. " for number in range(1, 10)))


def explain(identity: str, *, width: int = WIDTH) -> str:
    """The page of a rule, no line of its prose longer than `width`. Raises UsageError naming the nearest."""
    rule = find(identity)
    page = pages.page(rule.id)
    parts = [f"{rule.id}: {page.name}", f"category {rule.category}; {weighing(rule)}"]
    for heading in SECTIONS:
        if heading in page.sections:
            parts += ["", heading, *_paragraphs(page.sections[heading], width)]
    return "\n".join(parts)


def explain_json(identity: str) -> dict[str, Any]:
    """The same as data. Raises UsageError naming the nearest."""
    rule = find(identity)
    page = pages.page(rule.id)
    return {
        "schema": 1,
        "id": rule.id,
        "name": page.name,
        "category": rule.category,
        "weight": rule.weight,
        "weights": dict(rule.weights),
        "sections": [
            {"heading": heading, "text": page.sections[heading]}
            for heading in SECTIONS
            if heading in page.sections
        ],
        "references": list(page.references),
    }


def find(identity: str) -> Rule:
    """The rule of that name. Raises UsageError naming the nearest."""
    rules = {rule.id: rule for rule in RULES}
    if identity not in rules:
        raise UsageError(f"{identity}: no such check", hint=nearest_hint(identity, sorted(rules)))
    return rules[identity]


def weighing(rule: Rule) -> str:
    """How bad a bad verdict is, and for which purposes it is another."""
    others = [f"{weight} for {purpose}" for purpose, weight in rule.weights.items()]
    return f"weighs {', '.join([rule.weight, *others])}"


def _paragraphs(text: str, width: int) -> Iterator[str]:
    """Prose filled anew, items each on its own, what stands in a fence or is indented as it is."""
    prose: list[str] = []
    fenced = False

    def filled() -> Iterator[str]:
        if prose:
            first, rest = ("  ", "    ") if prose[0].startswith(_ITEMS) else ("  ", "  ")
            yield from textwrap.wrap(
                " ".join(prose),
                width,
                initial_indent=first,
                subsequent_indent=rest,
                break_long_words=False,
                break_on_hyphens=False,
            )
            prose.clear()

    for line in text.splitlines():
        if line.startswith("```"):
            yield from filled()
            fenced = not fenced
        elif fenced or line.startswith(("    ", "|")):
            yield from filled()
            yield f"  {line}"
        elif not line.strip():
            yield from filled()
            yield ""
        else:
            if line.startswith(_ITEMS):
                yield from filled()
            prose.append(line.strip())
    yield from filled()
