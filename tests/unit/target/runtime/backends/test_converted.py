"""Where a converted tokenizer is kept, and when it goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioner.target.runtime.backends import converted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models" / "tiny"
    made.mkdir(parents=True)
    (made / "m.gguf").write_bytes(b"GGUF")
    return made


def kept(folder: Path, version: str = "5.0") -> Path:
    place = converted.keep_in(None, str(folder), "m.gguf", version)
    assert place is not None
    return Path(place)


def test_the_same_file_and_version_find_it_again(folder: Path) -> None:
    first = kept(folder)
    first.mkdir()
    assert kept(folder) == first
    assert first.is_dir(), "the second time nothing is paid again"


def test_what_was_made_of_another_file_or_by_another_version_goes(folder: Path) -> None:
    first = kept(folder)
    first.mkdir()
    assert kept(folder, "5.1") != first
    assert not first.exists()
    second = kept(folder)
    second.mkdir()
    os.utime(folder / "m.gguf", ns=(1, 1))
    assert kept(folder) != second
    assert not second.exists()


def test_it_goes_with_its_weights(folder: Path) -> None:
    other = folder.parent / "gone"
    other.mkdir()
    (other / "m.gguf").write_bytes(b"GGUF")
    left = kept(other)
    left.mkdir()
    (other / "m.gguf").unlink()
    other.rmdir()
    kept(folder)
    assert not left.exists()
