"""docs/preflight.md is made of the rules' pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.preflight import pages
from provisioner.preflight.pages import parse
from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import RULES
from scripts import preflight_docs

PAGES = {
    "lid.open": "# Lid\n\n## What it means\nWhether the lid (a|b) is\nopen. It lets heat out.\n\n"
    "## Why it matters\nHeat.\n",
    "box.warm": "# Warmth\n\n## What it means\nHow warm it is.\n\n## References\n- A thermometer\n",
}
RULES_OF_TWO = (
    Rule(
        "lid.open", "case", lambda _: (), "warn", {"vfio-host": "fail", "guest": "info", "container": "info"}
    ),
    Rule("box.warm", "heat", lambda _: (), "info"),
)
WEIGHTS = "warn<br>fail: vfio-host<br>info: guest, container"
WANTED = (
    preflight_docs.HEAD
    + f"""
| rule | category | weight | what it looks at |
| --- | --- | --- | --- |
| [box.warm](#boxwarm) | heat | info | Warmth: How warm it is. |
| [lid.open](#lidopen) | case | {WEIGHTS} | Lid: Whether the lid (a\\|b) is open. |

## box.warm

**Warmth**

### What it means

How warm it is.

### References

- A thermometer

## lid.open

**Lid**

### What it means

Whether the lid (a|b) is
open. It lets heat out.

### Why it matters

Heat."""
)


def test_the_page_of_two_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "page", lambda identity: parse(identity, PAGES[identity]))
    assert preflight_docs.render(RULES_OF_TWO) == WANTED


def test_check_names_a_stale_page_and_writing_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "preflight.md"
    monkeypatch.setattr(preflight_docs, "TARGET", target)
    assert preflight_docs.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/preflight.md is stale: run python -m scripts.preflight_docs\n"
    assert not target.exists()
    assert preflight_docs.main([]) == 0
    assert preflight_docs.main(["--check"]) == 0
    target.write_text(target.read_text("utf-8") + "and more\n", "utf-8")
    assert preflight_docs.main(["--check"]) == 1


def test_the_page_in_docs_is_that_of_the_rules() -> None:
    assert preflight_docs.TARGET.read_text("utf-8") == preflight_docs.render(RULES) + "\n", (
        "run python -m scripts.preflight_docs"
    )
