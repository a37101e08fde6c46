"""The digest that says whether a role, or what it sends to a box, has changed. Imports no Ansible.

The controller's plan and the receipt on the box must agree on it, so both call this.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from provisioner.layout import PACKAGE
from provisioner.profiles import LOCKS

#: What of a role can change the box. README.md, state.yml and molecule/ cannot.
ROLE_PARTS = ("defaults", "files", "handlers", "meta", "tasks", "templates", "vars")
#: Every role sends code from the first; the tools that fetch are built from the second. The lock of a profile
#: is no part of its role: the plan names it by its digest, which is one of the role's inputs.
SHARED_PARTS = (PACKAGE / "target", LOCKS / "tools.txt")


def role_digest(role_dir: Path) -> str:
    """SHA-256 (hex) over the names and contents of a role's parts and of the shared sources it applies.

    Raises FileNotFoundError when `role_dir` holds no role.
    """
    if not (role_dir / "tasks").is_dir():
        raise FileNotFoundError(f"{role_dir} holds no role: tasks/ is missing")
    digest = hashlib.sha256()
    for part in ROLE_PARTS:
        _add(digest, role_dir / part, part)
    digest.update(_shared_digest().encode())
    return digest.hexdigest()


@cache
def _shared_digest() -> str:
    digest = hashlib.sha256()
    for folder in SHARED_PARTS:
        _add(digest, folder, folder.name)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, folder: Path, label: str) -> None:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        relative = path.relative_to(folder).as_posix()
        if not path.is_file() or "__pycache__" in path.parts or path.name.startswith("."):
            continue
        content = path.read_bytes()
        digest.update(f"{label}/{relative}\0{len(content)}\0".encode())
        digest.update(content)
