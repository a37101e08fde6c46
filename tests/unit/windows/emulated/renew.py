"""Writes what is said on each emulated computer now into emulated_walks.yml; then read the difference.

`python -m tests.unit.windows.emulated.renew`
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from tests.unit.windows.emulated.box import CONFIG
from tests.unit.windows.test_emulated_walks import CASES, ENDS, WALKS, made, several


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, lists set in."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    block = "\n" in text and "\r" not in text and not text.endswith("\n")
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, "|" if block else '"' if "\n" in text else None
    )


_Dumper.add_representer(str, _text)


def _dumped(value: object, *, flow: bool = False) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=flow
    )


def renewed(name: str) -> str:
    """One case as it is now; what is asked of the computer stays as it was written."""
    case: dict[str, Any] = WALKS[name]
    box = made(case)
    walks = several(box)
    said = [*walks[0].lines, *(line for one in walks[1:] for line in ("(a restart)", *one.lines))]
    lines = [f"{name}:\n"]
    lines += [f"  {key}: {_dumped(case[key], flow=True)}" for key in ("asked", "box") if key in case]
    found: dict[str, Any] = {"says": said[:-ENDS] if case.get("ends") else said}
    found |= {"ends": True} if case.get("ends") else {}
    found |= {"code": walks[-1].code}
    if config := box.files.get(CONFIG, ""):
        found["wslconfig"] = config
    lines += [f"  {line}" for line in _dumped(found).splitlines(keepends=True)]
    return "".join(line if line.strip() else "\n" for line in lines)


def main() -> int:
    text = CASES.read_text("utf-8")
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    CASES.write_text(head + "".join(map(renewed, WALKS)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
