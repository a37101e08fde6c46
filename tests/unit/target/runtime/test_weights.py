from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import fingerprint, manifest, weights
from provisioner.target.runtime.fingerprint import RECORD
from provisioner.target.runtime.gather import LISTING
from provisioner.target.runtime.sources import Fetch, Fetched, folder
from provisioner.target.runtime.transfer import BadFile

from .conftest import FakeContext

CONTENT = {
    "config.json": b"{}",
    "model-00001-of-00002.safetensors": b"one" * 100,
    "tokenizer/vocab.txt": b"a b",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Source:
    """Brings CONTENT, in the place of the folder source; `spoil` names files it damages, once each."""

    def __init__(self) -> None:
        self.spoil: list[str] = []
        self.brought: list[str] = []

    def fetch(self, task: Fetch) -> Fetched:
        digests: dict[str, str | None] = {}
        for name, content in CONTENT.items():
            path = Path(task.into) / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                bad = name in self.spoil
                path.write_bytes(content[:-1] if bad else content)
                if bad:
                    self.spoil.remove(name)
                self.brought.append(name)
            digests[name] = None
        return Fetched(digests, 7)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    source = Source()
    monkeypatch.setattr(folder, "fetch", source.fetch)
    return source


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    files = [
        {"name": name, "sha256": sha256(content), "size": len(content)} for name, content in CONTENT.items()
    ]
    return {"path": str(tmp_path / "models/m"), "sources": [{"type": "path", "path": "/x"}], "files": files}


def here(path: str) -> dict[str, bytes]:
    root = Path(path)
    return {
        str(item.relative_to(root)): item.read_bytes()
        for item in root.rglob("*")
        if item.is_file() and item.name not in (manifest.NAME, RECORD)
    }


def beside(spec: dict[str, Any]) -> list[str]:
    return sorted(item.name for item in Path(spec["path"]).parent.iterdir())


def test_weights_appear_whole_with_a_manifest(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    assert weights.inspect(spec) == "the weights are not there"
    result = weights.apply(spec, context)
    assert weights.inspect(spec) is None
    assert here(spec["path"]) == CONTENT
    files = sorted(spec["files"], key=lambda entry: str(entry["name"]))
    assert result.pop("seconds") >= 0
    assert result == {"path": spec["path"], "files": files, "bytes": 305, "pinned": {}, "fetched_bytes": 7}
    assert beside(spec) == ["m"]
    manifest = json.loads((Path(spec["path"]) / "manifest.json").read_text())
    stat = (Path(spec["path"]) / "config.json").stat()
    assert manifest["files"][0] == {
        "name": "config.json", "size": 2, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino,
        "sha256": sha256(b"{}"),
    }  # fmt: skip


def test_touched_but_right_files_cost_a_look_and_no_fetch(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    weights.apply(spec, context)
    os.utime(Path(spec["path"]) / "config.json", (1, 1))
    assert weights.inspect(spec) == "config.json was touched since it was checked"
    source.brought.clear()
    assert weights.apply(spec, context)["fetched_bytes"] == 0
    assert (weights.inspect(spec), source.brought, beside(spec)) == (None, [], ["m"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"{}x", "config.json was touched since it was checked"), (None, "config.json is missing")],
)
def test_a_damaged_file_is_set_aside_and_only_it_comes_again(
    content: bytes | None, reason: str, spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    weights.apply(spec, context)
    broken = Path(spec["path"]) / "config.json"
    broken.unlink()
    if content is not None:
        broken.write_bytes(content)
    assert weights.inspect(spec) == reason
    source.brought.clear()
    weights.apply(spec, context)
    assert (weights.inspect(spec), source.brought) == (None, ["config.json"])
    names = beside(spec)
    assert len(names) == 2
    assert names[0].startswith(".quarantine-m-2")
    assert here(spec["path"]) == CONTENT


@pytest.mark.parametrize("same", [True, False], ids=["damaged", "another model is wanted"])
def test_a_file_system_without_links_loses_nothing(
    same: bool, spec: dict[str, Any], source: Source, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated: exFAT and some network file systems know no second name of a file."""
    weights.apply(spec, context)

    def link(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", source)

    monkeypatch.setattr("os.link", link)
    wish = spec if same else {**spec, "sources": [{"type": "path", "path": "/y"}]}
    (Path(spec["path"]) / "config.json").write_bytes(b"bad")
    source.brought.clear()
    weights.apply(wish, context)
    assert (weights.inspect(wish), source.brought) == (None, ["config.json"])
    assert here(spec["path"]) == CONTENT


def test_no_second_quarantine_is_kept(spec: dict[str, Any], source: Source, context: FakeContext) -> None:
    (Path(spec["path"]).parent / ".quarantine-m-20200101T000000Z").mkdir(parents=True)
    weights.apply(spec, context)
    (Path(spec["path"]) / "config.json").write_bytes(b"bad")
    weights.apply(spec, context)
    assert ".quarantine-m-20200101T000000Z" not in beside(spec)
    assert len(beside(spec)) == 2


def test_a_wrong_file_is_fetched_once_more(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    source.spoil = ["config.json"]
    weights.apply(spec, context)
    assert source.brought.count("config.json") == 2
    assert (weights.inspect(spec), here(spec["path"])) == (None, CONTENT)


def test_a_wrong_file_twice_fails_and_publishes_nothing(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    source.spoil = ["config.json"] * 2
    with pytest.raises(TargetError) as caught:
        weights.apply(spec, context)
    digests = f"{sha256(b'{')[:12]}… and {sha256(b'{}')[:12]}… was published"
    assert caught.value.message == f"m: config.json: the digest is {digests}, 1 bytes instead of 2, twice"
    assert beside(spec) == [".partial-m"]


def test_an_interrupted_fetch_goes_on_where_it_was(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    partial = Path(spec["path"]).parent / ".partial-m"
    partial.mkdir(parents=True)
    (partial / "config.json").write_bytes(CONTENT["config.json"])
    weights.apply(spec, context)
    assert "config.json" not in source.brought
    assert here(spec["path"]) == CONTENT


def test_other_weights_by_the_same_name_stay_until_the_new_ones_are_here(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    weights.apply(spec, context)
    other = {**spec, "sources": [{"type": "path", "path": "/y"}], "files": [*spec["files"]]}
    other["files"] = [{"name": "config.json", "sha256": "f" * 64, "size": 2}]
    assert weights.inspect(other) == "other weights were asked for"
    with pytest.raises(TargetError, match="twice"):
        weights.apply(other, context)
    assert weights.inspect(spec) is None
    other["files"] = []
    source.brought.clear()
    weights.apply(other, context)
    assert (weights.inspect(other), here(spec["path"]), beside(spec)) == (None, CONTENT, ["m"])
    assert source.brought == ["config.json"]  # the others were gathered by the attempt that failed


def test_what_a_cut_publishing_left_behind_goes_with_the_next_one(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    older = Path(spec["path"]).parent / ".older-m"
    older.mkdir(parents=True)
    (older / "model.safetensors").write_bytes(b"gigabytes")
    weights.apply(spec, context)
    assert beside(spec) == ["m"]


def test_the_listing_stays_until_all_is_recorded(
    spec: dict[str, Any], source: Source, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Recording a large model takes a minute, in which other boxes that take it from here go by the listing.
    there: list[bool] = []
    bring = source.fetch

    def fetch(task: Fetch) -> Fetched:
        (Path(task.into) / LISTING).write_text("{}")
        return bring(task)

    def record(place: str, on_bytes: Any) -> None:
        there.append((Path(place) / LISTING).exists())
        fingerprint.record(place, on_bytes)

    monkeypatch.setattr(folder, "fetch", fetch)
    monkeypatch.setattr(weights, "fingerprint", SimpleNamespace(record=record, RECORD=RECORD))
    weights.apply(spec, context)
    assert there == [True]
    assert not (Path(spec["path"]) / LISTING).exists()


def test_the_same_weights_from_elsewhere_are_not_fetched(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    weights.apply(spec, context)
    source.brought.clear()
    moved = {**spec, "sources": [{"type": "path", "path": "/y"}]}
    weights.apply(moved, context)
    assert (weights.inspect(moved), source.brought) == (None, [])


def test_a_file_that_the_source_has_not(spec: dict[str, Any], source: Source, context: FakeContext) -> None:
    spec["files"].append({"name": "more.json", "sha256": "0" * 64, "size": 1})
    with pytest.raises(TargetError, match=r"more\.json is not in that source"):
        weights.apply(spec, context)


def test_without_published_digests_the_manifest_vouches(
    spec: dict[str, Any], source: Source, context: FakeContext
) -> None:
    spec["files"] = []
    result = weights.apply(spec, context)
    assert {entry["name"]: entry["sha256"] for entry in result["files"]} == {
        name: sha256(content) for name, content in CONTENT.items()
    }
    (Path(spec["path"]) / "config.json").write_bytes(b"bad")
    weights.apply(spec, context)
    assert here(spec["path"]) == CONTENT


def test_a_source_that_gives_up_keeps_what_came(
    spec: dict[str, Any], context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(task: Fetch) -> Fetched:
        (Path(task.into) / "config.json").write_bytes(b"{}")
        raise BadFile("it came short")

    monkeypatch.setattr(folder, "fetch", fetch)
    with pytest.raises(TargetError, match="m: it came short, twice"):
        weights.apply(spec, context)
    assert here(str(Path(spec["path"]).parent / ".partial-m")) == {"config.json": b"{}"}


def test_an_unknown_source(spec: dict[str, Any]) -> None:
    with pytest.raises(TargetError, match="weights from ftp: no such source"):
        weights.inspect({**spec, "sources": [{"type": "ftp"}]})
