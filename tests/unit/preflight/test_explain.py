from __future__ import annotations

import pytest

from provisioner.errors import UsageError
from provisioner.preflight import explain as module
from provisioner.preflight import pages
from provisioner.preflight.explain import WIDTH, explain, explain_json
from provisioner.preflight.pages import parse
from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import RULES

PAGE = """\
# Lid

## What it means
Whether the lid is open. A lid that is open
lets the heat out.

It may be warm there.

## Why it matters
Heat.

## How to fix it
Close it:

1. Take the lid, which is on the left side of the machine.
2. Put it down.

```
lid --close --all-of-them-and-no-exception
```

## References
- The manual of the lid, chapter one: what a lid is
"""
TEXT = """\
lid.open: Lid
category case; weighs warn, fail for vfio-host

What it means
  Whether the lid is open. A lid
  that is open lets the heat
  out.

  It may be warm there.

Why it matters
  Heat.

How to fix it
  Close it:

  1. Take the lid, which is on
    the left side of the
    machine.
  2. Put it down.

  lid --close --all-of-them-and-no-exception

References
  - The manual of the lid,
    chapter one: what a lid is"""


@pytest.fixture
def lid(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Rule("lid.open", "case", lambda _: (), "warn", {"vfio-host": "fail"})
    monkeypatch.setattr(module, "RULES", (rule,))
    monkeypatch.setattr(pages, "page", lambda identity: parse(identity, PAGE))


@pytest.mark.usefixtures("lid")
def test_a_page_for_a_terminal() -> None:
    assert explain("lid.open", width=32) == TEXT


@pytest.mark.usefixtures("lid")
def test_a_page_as_data() -> None:
    page = parse("lid.open", PAGE)
    assert explain_json("lid.open") == {
        "schema": 1,
        "id": "lid.open",
        "name": "Lid",
        "category": "case",
        "weight": "warn",
        "weights": {"vfio-host": "fail"},
        "sections": [{"heading": heading, "text": text} for heading, text in page.sections.items()],
        "references": ["The manual of the lid, chapter one: what a lid is"],
    }


@pytest.mark.parametrize("ask", [explain, explain_json])
def test_an_unknown_check_is_answered_with_the_nearest(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(UsageError) as caught:
        ask("iommu.mod")
    assert (caught.value.message, caught.value.hint) == (
        "iommu.mod: no such check",
        "did you mean iommu.mode?",
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_can_be_explained(rule: Rule) -> None:
    text = explain(rule.id)
    assert text.startswith(f"{rule.id}: ")
    prose = [line for line in text.splitlines() if "`" not in line and " " in line.strip()]
    assert [line for line in prose if len(line) > WIDTH] == []
