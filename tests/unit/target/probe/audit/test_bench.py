"""Rates of a disk and of memory: real reads of small files, quickly, and what keeps them from being read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe.audit import bandwidth, bench
from provisioner.target.probe.box import Box

MIB = 1 << 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (bench, "SEQUENTIAL_S", 0.05), (bench, "RANDOM_S", 0.05), (bench, "SEARCH_S", 0.05),
        (bench, "TOO_LITTLE", 4 * MIB), (bench, "USUAL", ()), (bandwidth, "SECONDS", 0.02),
        (bandwidth, "LEAST", 16 * MIB), (bandwidth, "last_cache", lambda: 0),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights").mkdir()
    for number in range(2):
        (tmp_path / "weights" / f"{number}.gguf").write_bytes(os.urandom(3 * MIB))
    return tmp_path


def test_files_are_read_around_the_cache_and_nothing_is_written(folder: Path) -> None:
    before = {path: path.stat() for path in folder.rglob("*")}
    found = bench.disk(str(folder / "models" / "not" / "yet"))
    for name, size in (("sequential", MIB), ("random", 4096)):
        if found[name]["state"] == "hidden" and "O_DIRECT" in found[name]["why"]:
            pytest.skip("the temporary folder's file system does no direct reads")
        rate = found[name]["value"]
        assert found[name]["state"] == "read", found[name]
        assert rate["bytes"] % size == 0
        assert rate["bytes_per_second"] == pytest.approx(rate["bytes"] / rate["seconds"], rel=0.1)
        assert "2 files of 6 MiB together" in rate["how"]
    after = {path: path.stat() for path in folder.rglob("*")}
    assert {path: (at.st_mtime_ns, at.st_size) for path, at in after.items()} == {
        path: (at.st_mtime_ns, at.st_size) for path, at in before.items()
    }


def test_holes_small_files_links_and_other_disks_are_no_measure(folder: Path) -> None:
    with (folder / "hole").open("wb") as file:
        file.truncate(64 * MIB)
    (folder / "small").write_bytes(b"x" * MIB)
    (folder / "link").symlink_to(folder / "weights" / "0.gguf")
    os.mkfifo(folder / "pipe")
    device = folder.stat().st_dev
    assert {Path(one.path).name for one in bench.files(str(folder), device)} == {"0.gguf", "1.gguf"}
    assert list(bench.files(str(folder), device + 1)) == []


def test_without_files_and_without_the_disk_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str, flags: int, *_: Any) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refused)
    found = bench.disk(str(tmp_path))
    assert [one["state"] for one in found.values()] == ["hidden", "hidden"]
    assert found["random"]["why"] == (
        "no files of 4 MiB together were found to read, and the disk itself could not be opened "
        "(Permission denied)"
    )


def test_a_file_system_without_direct_reads_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def opened(path: str, flags: int, *more: Any) -> int:
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument", path)
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", opened)
    found = bench.disk(str(folder))
    assert found["sequential"]["why"] == "its file system gives no way around its cache (O_DIRECT)"


def test_a_disk_that_fails_is_an_error_and_not_a_rate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", failing)
    found = bench.disk(str(folder))
    assert {(one["state"], one["why"]) for one in found.values()} <= {
        ("error", "a read failed: Input/output error"),
        ("hidden", "its file system gives no way around its cache (O_DIRECT)"),
    }


def test_memory_is_read_by_all_processors_and_by_one() -> None:
    found = bandwidth.memory()
    threads = len(os.sched_getaffinity(0))
    for name, count in (("memory", threads), ("memory_one_thread", 1)):
        rate = found[name]["value"]
        # No machine that can run this reads memory slower than a hundred megabytes, or faster than 100 TB.
        assert 1e8 < rate["bytes_per_second"] < 1e14, (name, rate)
        assert rate["how"].startswith(f"{count} threads read" if count > 1 else "one thread read")


def test_memory_that_is_short_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "budget", lambda: MIB)
    assert {one["why"] for one in bandwidth.memory().values()} == {
        "too little memory is free to measure it"
    }  # fmt: skip


def test_a_recorded_tree_has_nothing_to_measure(tmp_path: Path) -> None:
    found = bench.section(Box(str(tmp_path)), None)  # type: ignore[arg-type]
    assert {one["state"] for one in found.values()} == {"not_applicable"}
