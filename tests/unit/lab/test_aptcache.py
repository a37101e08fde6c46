"""Packages kept between machines by hard links."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import aptcache, cache


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path / "cache"))
    return cache.folder("apt", "trixie")


def test_a_machine_starts_with_what_others_downloaded(shared: Path, tmp_path: Path) -> None:
    (shared / "a_1_amd64.deb").write_text("a")
    home = tmp_path / "home"
    assert aptcache.volumes(home, "trixie") == [
        f"--volume={home}/archives:/var/cache/apt/archives",
        f"--volume={tmp_path}/cache/downloads:/var/cache/provisioner",
    ]
    assert sorted(path.name for path in (home / "archives").iterdir()) == ["a_1_amd64.deb", "partial"]
    assert (home / "archives" / "a_1_amd64.deb").samefile(shared / "a_1_amd64.deb")


def test_new_packages_are_kept_and_nothing_else(shared: Path, tmp_path: Path) -> None:
    (shared / "a_1_amd64.deb").write_text("a")
    aptcache.volumes(tmp_path, "trixie")
    archives = tmp_path / "archives"
    (archives / "b_2_all.deb").write_text("b")
    (archives / "lock").write_text("")
    (archives / "partial" / "c_3_all.deb").write_text("half")
    assert aptcache.harvest(tmp_path, "trixie") == 1
    assert sorted(path.name for path in shared.iterdir()) == ["a_1_amd64.deb", "b_2_all.deb"]
    assert aptcache.harvest(tmp_path, "trixie") == 0


def test_a_machine_that_empties_its_cache_empties_no_other_s(shared: Path, tmp_path: Path) -> None:
    (shared / "a_1_amd64.deb").write_text("a")
    aptcache.volumes(tmp_path, "trixie")
    (tmp_path / "archives" / "a_1_amd64.deb").unlink()
    assert (shared / "a_1_amd64.deb").read_text() == "a"


def test_a_machine_without_the_cache_has_nothing_to_keep(shared: Path, tmp_path: Path) -> None:
    assert aptcache.harvest(tmp_path / "home", "trixie") == 0
