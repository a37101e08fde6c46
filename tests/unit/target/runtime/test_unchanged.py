"""What was verified is what is loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import unchanged
from provisioner.target.runtime.files import sha256_file

from .conftest import FakeContext


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text('{"rope_theta": 10000}')
    (folder / "w.bin").write_bytes(bytes(1000))
    entries = []
    for path in sorted(folder.iterdir()):
        stat = path.stat()
        entries.append(
            {
                "name": path.name,
                "size": stat.st_size,
                "mtime_ns": stat.st_mtime_ns,
                "inode": stat.st_ino,
                "sha256": sha256_file(str(path)),
            }
        )
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "files": entries}))
    return folder


def test_what_is_as_it_was_passes(model: Path, context: FakeContext) -> None:
    unchanged.require_unchanged(str(model), context)
    os.utime(model / "w.bin")
    unchanged.require_unchanged(str(model), context)
    assert context.phases == ["w.bin was touched: checking it"]


def test_one_wrong_number_is_seen_also_behind_the_same_time(model: Path, context: FakeContext) -> None:
    path = model / "config.json"
    before = path.stat()
    path.write_text('{"rope_theta": 20000}')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(TargetError, match=r"^m is not as it was verified: config\.json") as caught:
        unchanged.require_unchanged(str(model), context)
    assert caught.value.hint == "provision up brings the right files back"


@pytest.mark.parametrize(("change", "said"), [("truncate", "w.bin"), ("remove", "w.bin is missing")])
def test_what_is_not_whole_is_named(model: Path, context: FakeContext, change: str, said: str) -> None:
    if change == "truncate":
        os.truncate(model / "w.bin", 10)
    else:
        (model / "w.bin").unlink()
    with pytest.raises(TargetError, match=said):
        unchanged.require_unchanged(str(model), context)


def test_without_a_manifest_nothing_is_promised(model: Path, context: FakeContext) -> None:
    (model / "manifest.json").unlink()
    (model / "w.bin").unlink()
    unchanged.require_unchanged(str(model), context)
