from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.target.system.undo.undoing import Role, told


@pytest.fixture
def role(tmp_path: Path) -> Role:
    return Role(tmp_path)


@pytest.mark.parametrize("by", ["top", "file"])
def test_a_tree_goes_with_what_belongs_to_it(role: Role, tmp_path: Path, by: str) -> None:
    env, half, lock = tmp_path / "env", tmp_path / ".partial-env", tmp_path / "lock"
    role.has("tree", path=str(env), by=by, exclude=[".lock"], also=[str(half), str(lock)])
    role.begin()
    (env / "bin").mkdir(parents=True)
    (env / "bin/python").write_text("x")
    (env / ".lock").write_text("x")
    role.done()
    half.mkdir()
    (half / "begun").write_text("x")
    assert told(role.undo()) == ([f"remove {env}", f"remove {half}"], [])
    assert list(tmp_path.iterdir()) == []


def test_a_half_made_tree_goes_too(role: Role, tmp_path: Path) -> None:
    env = tmp_path / "env"
    role.has("tree", path=str(env), by="top")
    role.begin()
    (env / "bin").mkdir(parents=True)
    assert told(role.undo()) == ([f"remove {env}"], [])
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_has_put_into_it_stays(role: Role, tmp_path: Path) -> None:
    model = tmp_path / "model"
    role.has("tree", path=str(model), by="file")
    role.begin()
    (model / "deep").mkdir(parents=True)
    (model / "weights").write_text("x")
    (model / "deep/config").write_text("x")
    role.done()
    (model / "deep/notes").write_text("mine")
    steps, kept = told(role.undo())
    assert steps == [f"remove what was put into {model}"]
    assert kept == [(str(model), "somebody has put into it: deep/notes")]
    assert [str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()] == ["deep/notes"]


def test_a_package_that_was_added_to_an_environment_goes_with_it(role: Role, tmp_path: Path) -> None:
    env = tmp_path / "env"
    packages = env / "lib/site-packages"
    role.has("tree", path=str(env), by="top")
    role.begin()
    (packages / "numpy").mkdir(parents=True)
    (packages / "numpy/core").write_text("x")
    role.done()
    (packages / "ipython").mkdir()
    (packages / "ipython/core").write_text("x")
    assert told(role.undo()) == ([f"remove {env}"], [])
    assert not env.exists()


def test_a_tree_that_was_there_before_stays(role: Role, tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.mkdir()
    (env / "theirs").write_text("x")
    role.has("tree", path=str(env), by="top", also=[str(tmp_path / "beside")])
    (tmp_path / "beside").write_text("x")
    role.begin()
    (env / "ours").write_text("x")
    role.done()
    assert told(role.undo()) == ([], [])
    assert sorted(path.name for path in env.iterdir()) == ["ours", "theirs"]
    assert (tmp_path / "beside").exists()
