"""What no file of the project may hold, and how long a module may be."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.habits.tree import ROOT, modules, project_files

# In pieces, so that this file does not hold them either.
FORBIDDEN = {
    "a package registry's host": (
        "pypi" + ".org", "python" + "hosted.org", "deb." + "debian.org", "security." + "debian.org",
        "snapshot." + "debian.org", "archive." + "ubuntu.com", "security." + "ubuntu.com",
        "registry." + "npmjs.org", "registry." + "yarnpkg.com", "proxy." + "golang.org", "crates" + ".io",
        "registry-1." + "docker.io", "conda." + "anaconda.org",
    ),
    "a path of one developer's machine": (
        "/wo" + "rk/", "/opt/" + "wheels", "/opt/" + "pypi", "/root/" + ".pyenv",
    ),
}  # fmt: skip

# Vendors' addresses are data with a source and a confidence, never literals in code.
UPSTREAMS = (
    "developer.download." + "nvidia.com", "download." + "pytorch.org", "https://" + "huggingface.co",
)  # fmt: skip

LIMIT = 400


def texts() -> list[tuple[str, str]]:
    found = []
    for path in project_files():
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    assert len(found) > 20, "the project has more files than that"
    return found


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_no_file_holds(kind: str) -> None:
    # A name inside a longer one (…/frame-wo rk/…) is not meant.
    pattern = re.compile("|".join(rf"(?<![\w.-]){re.escape(text)}" for text in FORBIDDEN[kind]))
    held = []
    for name, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            if match := pattern.search(line):
                held.append(f"{name}:{number} {match.group()}")
    assert held == []


def test_vendor_addresses_are_data() -> None:
    code = [
        (name, text)
        for name, text in texts()
        if name.startswith("provisioner/") and name.endswith((".py", ".sh"))
    ]
    assert code
    assert [(name, host) for name, text in code for host in UPSTREAMS if host in text] == []


def test_modules_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules("provisioner", "tests", "scripts", "benchmarks")
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LIMIT} == {}


def test_nothing_is_swallowed() -> None:
    """`except …: pass` for the broad exceptions hides what a person must know."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules("provisioner", "scripts")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        if _broad(node) and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]
    assert silent == []


def _broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )
