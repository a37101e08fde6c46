"""A page a rule, beside this file: what it means, why it matters, how to fix it, how sure we are.

`provision preflight --explain ID` prints a page, docs/preflight.md is made of all, and findings take their
name, impact and references from them, so that each sentence is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SECTIONS = ("What it means", "Why it matters", "How to fix it", "How sure", "References")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """One rule's page: its first heading, and its sections by heading (those of SECTIONS, in that order)."""

    id: str
    name: str
    sections: Mapping[str, str]

    @property
    def impact(self) -> str:
        """The first paragraph of "Why it matters", on one line."""
        return " ".join(self.sections["Why it matters"].split("\n\n")[0].split())

    @property
    def references(self) -> tuple[str, ...]:
        """One entry a bullet."""
        lines = self.sections.get("References", "").splitlines()
        return tuple(line.removeprefix("- ").strip() for line in lines if line.startswith("- "))


def known() -> tuple[str, ...]:
    """The ids of all pages."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.md")))


@cache
def page(identity: str) -> Page:
    """A rule's page; every rule has one, which a test holds."""
    return parse(identity, (_HERE / f"{identity}.md").read_text("utf-8"))


def parse(identity: str, text: str) -> Page:
    """A page from its Markdown: `# name`, then `## section` each."""
    head, *parts = text.split("\n## ")
    sections = {}
    for part in parts:
        heading, _, body = part.partition("\n")
        sections[heading.strip()] = body.strip()
    return Page(identity, head.removeprefix("# ").strip(), sections)
