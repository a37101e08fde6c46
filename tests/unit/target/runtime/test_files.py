from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files


def test_json_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(str(path), {"a": 1})
    files.write_json(str(path), {"a": "ü"})
    assert files.read_json(str(path)) == {"a": "ü"}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(str(path), {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(str(path), {"a": object()})
    assert files.read_json(str(path)) == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\udcff"])
def test_a_damaged_document_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert files.read_json(str(tmp_path / "a.json")) is None


def test_an_absent_document_says_nothing(tmp_path: Path) -> None:
    assert files.read_json(str(tmp_path / "none.json")) is None


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert files.digest_of({"a": 1, "b": [2]}) == files.digest_of({"b": [2], "a": 1})
    assert files.digest_of({"a": 1}) != files.digest_of({"a": "1"})


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (253113024, "253 MB"), (1.2e9, "1.2 GB")],
)
def test_size_text(count: float, text: str) -> None:
    assert files.size_text(count) == text


def test_space_is_summed_up_for_each_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1_000_000_000)
    files.require_space([(str(tmp_path / "a"), 400_000_000), (str(tmp_path / "b"), 500_000_000)])
    with pytest.raises(TargetError) as caught:
        files.require_space([(str(tmp_path / "a"), 600_000_000), (str(tmp_path / "b"), 500_000_000)])
    assert caught.value.message == f"{tmp_path / 'a'}: 1.1 GB are needed and 1.0 GB are free"
    assert caught.value.hint == "free 167 MB on that file system, or choose another folder"


def test_nothing_needed_is_always_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 0)
    files.require_space([(str(tmp_path), 0)])


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some disk space"),
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "run with sudo"),
    ],
)
def test_the_systems_refusal_names_file_and_next_step(number: int, hint: str) -> None:
    error = files.os_refusal(OSError(number, os.strerror(number), "/x/y"), "/x")
    assert error.message == f"/x/y: {os.strerror(number)}"
    assert hint in (error.hint or "")
