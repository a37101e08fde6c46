"""A role's digest changes with what can change a box, and with nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from provisioner import layout
from provisioner.ansible import digest
from provisioner.ansible.digest import role_digest


@pytest.fixture
def role(tmp_path: Path) -> Path:
    folder = tmp_path / "some_role"
    for name, text in {
        "tasks/main.yml": "- name: a\n",
        "templates/a.j2": "a",
        "README.md": "read me",
        "state.yml": "[]",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_digest_is_sha256_in_hex_and_does_not_depend_on_the_place(role: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(role, tmp_path / "elsewhere" / "some_role")
    assert len(role_digest(role)) == 64
    assert role_digest(role) == role_digest(copy)


@pytest.mark.parametrize(
    "name", ["tasks/main.yml", "templates/a.j2", "defaults/main.yml", "files/x/y", "vars/a.yml"]
)
def test_what_can_change_a_box_changes_the_digest(role: Path, name: str) -> None:
    before = role_digest(role)
    (role / name).parent.mkdir(parents=True, exist_ok=True)
    (role / name).write_text("changed")
    assert role_digest(role) != before


@pytest.mark.parametrize(
    "name", ["README.md", "state.yml", "molecule/default/verify.yml", "tasks/.main.yml.swp"]
)
def test_what_cannot_does_not(role: Path, name: str) -> None:
    before = role_digest(role)
    (role / name).parent.mkdir(parents=True, exist_ok=True)
    (role / name).write_text("changed")
    assert role_digest(role) == before


def test_moving_text_between_files_changes_the_digest(role: Path) -> None:
    (role / "tasks/b.yml").write_text("bc")
    (role / "tasks/c.yml").write_text("")
    before = role_digest(role)
    (role / "tasks/b.yml").write_text("b")
    (role / "tasks/c.yml").write_text("c")
    assert role_digest(role) != before


def test_code_that_is_sent_to_boxes_is_part_of_every_role(
    role: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for text in ("one", "two"):
        (tmp_path / "target").mkdir(exist_ok=True)
        (tmp_path / "target" / "a.py").write_text(text)
        monkeypatch.setattr(digest, "SHARED_PARTS", (tmp_path / "target",))
        digest._shared_digest.cache_clear()
        found.append(role_digest(role))
    digest._shared_digest.cache_clear()
    assert len(set(found)) == 2


def test_roles_differ() -> None:
    roles = [path.parent for path in layout.roles().glob("*/tasks")]
    assert len({role_digest(role) for role in roles}) == len(roles) > 3


def test_a_folder_without_tasks_is_no_role(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no role"):
        role_digest(tmp_path)
