from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files
from provisioner.target.runtime.sources import Fetch, Fetched, folder

Make = Callable[..., Fetch]
CONTENT = {"config.json": b"{}", "model.safetensors": b"weights" * 1000}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name, content in CONTENT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(0o644)
    (root / ".git").mkdir()
    (root / ".git/config").write_text("x")
    (root / "sub").mkdir()
    (root / "sub/consolidated.pth").write_text("the same once more")
    return root


def test_safe_files_are_linked(make: Make, model: Path, tmp_path: Path) -> None:
    got = folder.fetch(make({"type": "path", "path": str(model)}))
    assert got == Fetched(dict.fromkeys(CONTENT), 0)
    for name in CONTENT:
        assert (tmp_path / "into" / name).samefile(model / name)
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == sorted(CONTENT)


def test_a_file_that_others_may_write_to_is_copied(make: Make, model: Path, tmp_path: Path) -> None:
    name = "model.safetensors"
    (model / name).chmod(0o666)
    got = folder.fetch(make({"type": "path", "path": str(model)}))
    digest = hashlib.sha256(CONTENT[name]).hexdigest()
    assert got == Fetched({"config.json": None, name: digest}, len(CONTENT[name]))
    assert not (tmp_path / "into" / name).samefile(model / name)
    assert (tmp_path / "into" / name).read_bytes() == CONTENT[name]


def test_another_file_system_means_copies(
    make: Make, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated: the link is refused as across file systems."""

    def link(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", link)
    task = make({"type": "path", "path": str(model)})
    assert folder.fetch(task).bytes == sum(map(len, CONTENT.values()))
    assert task.context.phases == ["copying"]
    assert task.context.progress.done == sum(map(len, CONTENT.values()))
    assert {name: (tmp_path / "into" / name).read_bytes() for name in CONTENT} == CONTENT


def test_no_room_for_copies(make: Make, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (model / "config.json").chmod(0o666)
    monkeypatch.setattr(files, "free_bytes", lambda path: 0)
    with pytest.raises(TargetError, match="2 B are needed and 0 B are free"):
        folder.fetch(make({"type": "path", "path": str(model)}))


def test_a_single_file_by_its_published_name(make: Make, model: Path, tmp_path: Path) -> None:
    wanted = [{"name": "m.safetensors", "sha256": "", "size": 1}]
    got = folder.fetch(make({"type": "path", "path": str(model / "model.safetensors")}, wanted))
    assert got.files == {"m.safetensors": None}
    assert (tmp_path / "into/m.safetensors").exists()


def test_only_the_files_that_are_wanted(make: Make, model: Path) -> None:
    wanted = [{"name": "config.json", "sha256": "", "size": 2}, {"name": "absent", "sha256": "", "size": 2}]
    assert folder.fetch(make({"type": "path", "path": str(model)}, wanted)).files == {"config.json": None}


def test_a_second_run_finds_its_links(make: Make, model: Path) -> None:
    task = make({"type": "path", "path": str(model)})
    assert folder.fetch(task) == folder.fetch(task)


@pytest.mark.parametrize(
    ("name", "message"), [("gone", "no such file or folder on this machine"), ("e", "no files in it")]
)
def test_nothing_there(make: Make, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "e").mkdir()
    with pytest.raises(TargetError, match=message):
        folder.fetch(make({"type": "path", "path": str(tmp_path / name)}))


@pytest.mark.parametrize("source", ["model", "model/pytorch_model.bin"])
def test_pickles_alone_are_refused_unless_asked_for(make: Make, tmp_path: Path, source: str) -> None:
    folder_ = tmp_path / "model"
    folder_.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (folder_ / name).write_bytes(b"pickle")
    asked = {"type": "path", "path": str(tmp_path / source)}
    with pytest.raises(TargetError, match=r"has only pickle files \(pytorch_model\.bin\)"):
        folder.fetch(make(asked))
    allowed = make(asked, options={"allow_pickle": True})
    assert "pytorch_model.bin" in folder.fetch(allowed).files


def test_room_is_kept_for_what_conversion_needs(
    make: Make, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1 << 30)
    with pytest.raises(TargetError, match=r"2\.0 GB are needed and 1\.1 GB are free"):
        folder.fetch(make({"type": "path", "path": str(model)}, options={"reserve_bytes": 2_000_000_000}))
