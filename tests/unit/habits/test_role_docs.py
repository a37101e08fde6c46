"""The generated half of a role's README."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import role_docs

SPEC = """
argument_specs:
  main:
    short_description: Puts a thing on a box
    description:
      - Puts a thing on a box, and
        keeps it there.
    options:
      thing_name: {type: str, required: true, description: Which thing.}
      thing_sizes: {type: list, elements: int, default: [1, 2], description: [Sizes in bytes., Any order.]}
      thing_how: {type: str, default: a|b, choices: [a|b, 'no'], description: How to put it.}
      thing_more:
        type: dict
        default: null
        description: More.
        options:
          depth: {type: int, default: 1, description: How deep.}
"""
STATE = "- {id: thing.there, what: 'the thing is there', command: ['true']}\n"
REFERENCE = f"""{role_docs.MARKER}

## Variables

| Variable | Type | Default | Meaning |
| --- | --- | --- | --- |
| `thing_name` | str | required | Which thing. |
| `thing_sizes` | list of int | `[1, 2]` | Sizes in bytes. Any order. |
| `thing_how` | str | `a\\|b` | How to put it. One of `a|b`, `'no'`. |
| `thing_more` | dict | `null` | More. |
| `thing_more.depth` | int | `1` | How deep. |

## State

What `provision verify` and molecule assert on a finished box:

- `thing.there`: the thing is there

## Example

```yaml
- hosts: all
  roles:
    - role: thing
      vars:
        thing_name: …
```
"""


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "thing"
    (folder / "tasks").mkdir(parents=True)
    (folder / "meta").mkdir()
    (folder / "meta/argument_specs.yml").write_text(SPEC, encoding="utf-8")
    (folder / "state.yml").write_text(STATE, encoding="utf-8")
    monkeypatch.setattr(role_docs, "role_folders", lambda: [folder])
    return folder


def test_a_first_readme_begins_with_the_specs_description(role: Path) -> None:
    assert role_docs.main([]) == 0
    text = (role / "README.md").read_text(encoding="utf-8")
    assert text == f"# thing\n\nPuts a thing on a box, and keeps it there.\n\n{REFERENCE}"


@pytest.mark.parametrize("old_tail", ["", f"\n{role_docs.MARKER}\n\nold\n"])
def test_what_stands_above_the_marker_is_kept(role: Path, old_tail: str) -> None:
    (role / "README.md").write_text(f"# A thing\n\nBy hand.\n{old_tail}", encoding="utf-8")
    assert role_docs.main([]) == 0
    assert (role / "README.md").read_text(encoding="utf-8") == f"# A thing\n\nBy hand.\n\n{REFERENCE}"


def test_check_writes_nothing_and_names_the_role(role: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert role_docs.main(["--check"]) == 1
    assert capsys.readouterr().err == "READMEs of thing are stale: run python -m scripts.role_docs\n"
    assert not (role / "README.md").exists()


def test_a_written_readme_is_up_to_date(role: Path) -> None:
    role_docs.main([])
    assert role_docs.main(["--check"]) == 0
    (role / "state.yml").write_text(STATE.replace("is there", "is here"), encoding="utf-8")
    assert role_docs.main(["--check"]) == 1
