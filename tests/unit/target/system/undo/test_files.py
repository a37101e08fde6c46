from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.probe import observe
from provisioner.target.system.undo import files
from tests.unit.target.system.undo.undoing import Role, told

Change = Callable[[Path], object]


@pytest.fixture
def role(tmp_path: Path) -> Role:
    return Role(tmp_path)


def put(path: Path, text: str = "ours", mode: int = 0o644) -> None:
    path.write_text(text)
    path.chmod(mode)


def seen(path: Path) -> tuple[str, str, int] | None:
    """What a path is, as far as it is put back."""
    if not os.path.lexists(path):
        return None
    if path.is_symlink():
        return ("link", str(path.readlink()), 0)
    return (
        ("dir", "", stat.S_IMODE(path.stat().st_mode))
        if path.is_dir()
        else ("file", path.read_text(), stat.S_IMODE(path.stat().st_mode))
    )


def link(path: Path, to: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def instead(path: Path) -> None:
    path.unlink()
    put(path)


def nothing(_: Path) -> None:
    return None


BACK: dict[str, tuple[Change, Change, str]] = {
    "a file that was not there": (nothing, put, "remove {path}"),
    "a file with another content": (
        lambda path: put(path, "theirs", 0o600),
        put,
        "put back {path} as it was",
    ),
    "a file with another mode": (
        lambda path: put(path, mode=0o600),
        lambda path: path.chmod(0o644),
        "put back {path} as it was",
    ),
    "a link that was not there": (nothing, lambda path: link(path, "/x"), "remove {path}"),
    "a link elsewhere": (
        lambda path: link(path, "/y"),
        lambda path: link(path, "/x"),
        "put back {path} as it was",
    ),
    "a link in a file's place": (
        lambda path: put(path, "theirs"),
        lambda path: link(path, "/x"),
        "put back {path} as it was",
    ),
    "a file in a link's place": (
        lambda path: link(path, "/y"),
        instead,
        "put back {path} as it was",
    ),
    "a folder that was not there": (nothing, lambda path: path.mkdir(), "remove {path}"),
    "a folder with another mode": (
        lambda path: path.mkdir(0o755),
        lambda path: path.chmod(0o700),
        "put back {path} as it was",
    ),
}


@pytest.mark.parametrize("name", BACK)
def test_it_is_as_before(role: Role, tmp_path: Path, name: str) -> None:
    before, change, what = BACK[name]
    path = tmp_path / "thing"
    before(path)
    was = seen(path)
    role.has("file", path=str(path))
    role.begin()
    change(path)
    role.done()
    assert seen(path) != was
    assert told(role.undo()) == ([what.format(path=path)], [])
    assert seen(path) == was
    assert not role.state.exists()


@pytest.mark.parametrize("name", BACK)
def test_the_same_of_a_run_that_was_cut_off(role: Role, tmp_path: Path, name: str) -> None:
    before, change, _ = BACK[name]
    path = tmp_path / "thing"
    before(path)
    was = seen(path)
    role.has("file", path=str(path))
    role.begin()
    change(path)
    role.undo()
    assert seen(path) == was
    assert not role.state.exists()


@pytest.mark.parametrize(
    ("since", "why"),
    [
        (lambda path: put(path, "edited"), "it has been changed since"),
        (lambda path: path.chmod(0o600), "it has been changed since"),
        (lambda path: link(path, "/z"), "it has been changed since"),
    ],
)
def test_what_somebody_has_changed_since_stays(role: Role, tmp_path: Path, since: Change, why: str) -> None:
    path = tmp_path / "thing"
    role.has("file", path=str(path))
    role.begin()
    put(path)
    role.done()
    since(path)
    now = seen(path)
    assert told(role.undo()) == ([], [(str(path), why)])
    assert seen(path) == now


def test_what_somebody_has_removed_since_does_not_come_back(role: Role, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    put(path, "theirs")
    role.has("file", path=str(path))
    role.begin()
    put(path)
    role.done()
    path.unlink()
    assert told(role.undo()) == ([], [(str(path), "it has been removed since")])
    assert not path.exists()


def test_a_folder_that_somebody_uses_stays(role: Role, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    role.has("file", path=str(folder))
    role.has("file", path=str(folder / "ours"))
    role.begin()
    folder.mkdir()
    put(folder / "ours")
    role.done()
    put(folder / "theirs")
    steps, kept = told(role.undo())
    assert (steps, kept) == ([f"remove {folder}/ours"], [(str(folder), "it holds theirs")])
    assert [path.name for path in folder.iterdir()] == ["theirs"]


def test_a_folder_that_is_all_ours_goes_with_what_is_in_it(role: Role, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    role.has("file", path=str(folder), whole=True)
    role.begin()
    (folder / "deep").mkdir(parents=True)
    put(folder / "deep/file")
    role.done()
    assert told(role.undo()) == ([f"remove {folder}"], [])
    assert not folder.exists()


def test_a_large_file_whose_content_was_not_kept_is_said(
    role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "HASH_LIMIT", 3)
    path = tmp_path / "thing"
    put(path, "large")
    role.has("file", path=str(path))
    role.begin()
    put(path, "larger")
    role.done()
    why = "it was larger than 17 MB, and its content was not kept"
    assert told(role.undo()) == ([], [(str(path), why)])
    assert path.read_text() == "larger"


def test_content_that_is_gone_or_damaged_is_said(role: Role, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    put(path, "theirs")
    role.has("file", path=str(path))
    role.begin()
    put(path)
    role.done()
    (saved,) = (role.state / "saved/python_env/files").iterdir()
    saved.write_text("rot")
    assert told(role.undo()) == ([], [(str(path), "its content as it was is not kept")])
    assert path.read_text() == "ours"


def test_what_a_role_no_longer_names_goes_too(role: Role, tmp_path: Path) -> None:
    for name in ("old", "new"):
        role.resources = []
        role.has("file", path=str(tmp_path / name))
        role.begin()
        put(tmp_path / name)
        role.done()
    assert sorted(told(role.undo())[0]) == [f"remove {tmp_path}/new", f"remove {tmp_path}/old"]
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_way_back_of_a_change_leaves_what_was_there_before_it(role: Role, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    role.has("file", path=str(path))
    role.begin()
    put(path, "first")
    role.done()
    role.begin()
    put(path, "second")
    role.undo(to="before")
    assert path.read_text() == "first"
    names = sorted(path.name for path in (role.state / "receipts").iterdir())
    assert names == ["python_env.json"]
    role.undo()
    assert not path.exists()
    assert not role.state.exists()


def test_the_way_back_of_a_first_change_leaves_nothing(role: Role, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    role.has("file", path=str(path))
    role.begin()
    put(path)
    role.undo(to="before")
    assert not path.exists()
    assert list((role.state / "receipts").iterdir()) == []


def test_sizes_count_each_file_once(tmp_path: Path) -> None:
    put(tmp_path / "one", "x" * 5000)
    os.link(tmp_path / "one", tmp_path / "two")
    taken = (tmp_path / "one").stat().st_blocks * 512
    assert (files.size_of(str(tmp_path)), files.size_of(str(tmp_path / "one"))) == (taken, 0)
    assert files.size_of(str(tmp_path / "no")) == 0
