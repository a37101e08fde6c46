"""The project's own files, for tests about all of them."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_NOT_OURS = {".git", ".venv", ".cache", ".ansible", "__pycache__", "dist", ".hypothesis"}


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Tracked files and new ones that git does not ignore; a walk where git is missing or refuses."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
    except (FileNotFoundError, subprocess.CalledProcessError):
        return tuple(path for path in _walk(ROOT) if path.is_file())
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name not in _NOT_OURS:
            if path.is_dir() and not path.is_symlink():
                yield from _walk(path)
            else:
                yield path


@dataclass(frozen=True)
class Import:
    """One imported module and where."""

    module: str
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def modules(*folders: str) -> list[Path]:
    """Python files of the project below these folders."""
    roots = [ROOT / folder for folder in folders]
    return [
        path
        for path in project_files()
        if path.suffix == ".py" and any(path == root or root in path.parents for root in roots)
    ]


def imports(path: Path) -> list[Import]:
    """Every import in a file, those inside functions too, with relative ones made absolute."""
    return list(_imports(ast.parse(path.read_text(encoding="utf-8")), path))


def _imports(tree: ast.AST, path: Path) -> Iterator[Import]:
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, path, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, node.module) if node.module else base)
            # `from package import module` imports the module as much as `import package.module` does.
            yield from (Import(f"{module}.{alias.name}", path, node.lineno) for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these packages or inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)
