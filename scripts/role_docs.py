"""Writes the reference part of each role's README from its argument spec and state.yml.

`python -m scripts.role_docs` writes, `--check` only compares (exit 1 on a difference). What stands above the
marker is written by hand and kept; a README that does not exist yet begins with the spec's own description.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
MARKER = "<!-- Below: written by scripts/role_docs.py from meta/argument_specs.yml and state.yml. -->"

Spec = Mapping[str, Any]


def render(role: str, spec: Spec, assertions: Sequence[Spec], preface: str | None) -> str:
    """The whole README."""
    parts = [(preface or _first_preface(role, spec)).strip(), "", MARKER, "", "## Variables", ""]
    parts += [*_variables(spec.get("options", {}))]
    if assertions:
        parts += ["", "## State", "", "What `provision verify` and molecule assert on a finished box:", ""]
        parts += [f"- `{one['id']}`: {_plain(one['what'])}" for one in assertions if "id" in one]
    parts += ["", "## Example", "", "```yaml", *_example(role, spec), "```", ""]
    return "\n".join(parts)


def _first_preface(role: str, spec: Spec) -> str:
    return f"# {role}\n\n{_text(spec.get('description', spec.get('short_description', '')))}"


def _variables(options: Spec) -> Iterator[str]:
    if not options:
        yield "None."
        return
    yield "| Variable | Type | Default | Meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _rows("", options)


def _rows(prefix: str, options: Spec) -> Iterator[str]:
    for name, option in options.items():
        meaning = _cell(_text(option.get("description", "")))
        if "choices" in option:
            meaning += " One of " + ", ".join(f"`{_shown(choice)}`" for choice in option["choices"]) + "."
        kind = option.get("type", "str")
        if "elements" in option:
            kind += f" of {option['elements']}"
        default = "required" if option.get("required") else f"`{_cell(_shown(option.get('default')))}`"
        yield f"| `{prefix}{name}` | {kind} | {default} | {meaning} |"
        if "options" in option:
            yield from _rows(f"{prefix}{name}.", option["options"])


def _example(role: str, spec: Spec) -> Iterator[str]:
    required = [name for name, option in spec.get("options", {}).items() if option.get("required")]
    yield "- hosts: all"
    yield "  roles:"
    yield f"    - role: {role}"
    if required:
        yield "      vars:"
        yield from (f"        {name}: …" for name in required)


def _text(description: str | Sequence[str]) -> str:
    sentences = [description] if isinstance(description, str) else description
    return " ".join(_plain(sentence) for sentence in sentences)


def _plain(text: str) -> str:
    return re.sub(r"\bC\((.*?)\)", r"`\1`", " ".join(str(text).split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(value: object) -> str:
    """A value as YAML would have it, on one line."""
    shown: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return shown.removesuffix("\n").removesuffix("...").strip()


def read_role(folder: Path) -> tuple[Spec, Sequence[Spec]]:
    """The role's main argument spec and its state assertions (none where the role has no state.yml)."""
    specs = yaml.safe_load((folder / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    state = folder / "state.yml"
    assertions = yaml.safe_load(state.read_text(encoding="utf-8")) if state.exists() else []
    return specs["argument_specs"]["main"], assertions or []


def readme(folder: Path) -> str:
    """What the README of the role in `folder` should be."""
    target = folder / "README.md"
    old = target.read_text(encoding="utf-8") if target.exists() else ""
    spec, assertions = read_role(folder)
    preface = old.split(MARKER, 1)[0] if MARKER in old else old
    return render(folder.name, spec, assertions, preface if preface.strip() else None)


def role_folders(roles: Path = ROLES) -> list[Path]:
    """Every folder that is a role."""
    return sorted(path for path in roles.glob("*") if (path / "tasks").is_dir())


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 1 when `--check` finds a README that differs."""
    parser = argparse.ArgumentParser(prog="python -m scripts.role_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check: bool = parser.parse_args(argv).check
    stale = []
    for folder in role_folders():
        target, wanted = folder / "README.md", readme(folder)
        if not target.exists() or target.read_text(encoding="utf-8") != wanted:
            stale.append(folder.name)
            if not check:
                target.write_text(wanted, encoding="utf-8")
    if stale and check:
        print(f"READMEs of {', '.join(stale)} are stale: run python -m scripts.role_docs", file=sys.stderr)
        return 1
    for name in stale:
        print(f"wrote roles/{name}/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
