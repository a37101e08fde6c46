from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from provisioner.target.runtime.share.shelf import Gone, Reading, is_safe

from .seed import Seed

CONTENT = b"abcdefghijklmnopqr"  # four blocks and a half


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    return Seed(tmp_path, {"m.gguf": CONTENT, "sub/config.json": b"{}"})


def read(reading: Reading, start: int, end: int) -> bytes:
    return os.pread(reading.fd, end - start, start)


def test_nothing_is_known_before_the_job_has_listed(seed: Seed) -> None:
    assert seed.shelf().listing() is None
    seed.list()
    assert seed.shelf().listing() == {
        "schema": 1,
        "files": [seed.entry(name)._asdict() for name in seed.files],
        "pinned": {"commit": "c0"},
    }


def test_the_manifest_of_what_is_published_is_the_listing(seed: Seed) -> None:
    seed.publish()
    listing = seed.shelf().listing()
    assert listing is not None
    assert listing["files"] == [seed.entry(name)._asdict() for name in seed.files]


@pytest.mark.parametrize("published", [True, False])
def test_other_weights_of_the_same_name_are_not_given(seed: Seed, published: bool) -> None:
    seed.publish() if published else seed.list()
    shelf = seed.shelf(wanted="other")
    assert shelf.listing() is None
    assert list(shelf.places(seed.entry("m.gguf"))) == []


def test_the_listing_of_an_earlier_job_is_not_given(seed: Seed) -> None:
    seed.list()
    (seed.job / "spec.json").write_text("{}")
    os.utime(seed.partial / ".listing.json", (1, 1))
    assert seed.shelf().listing() is None
    seed.list()
    assert seed.shelf().listing() is not None


def test_a_listing_that_points_outside_gives_nothing_outside(seed: Seed) -> None:
    files = [{"name": name, "size": 1} for name in ("../x", "/etc/passwd", "a//b", "", ".", "a/../b", 7)]
    seed.list(files=[*files, {"name": "good", "size": 1}])
    listing = seed.shelf().listing()
    assert listing is not None
    assert [file["name"] for file in listing["files"]] == ["good"]
    assert not is_safe("a\0b")


@pytest.mark.parametrize(
    ("blocks", "position", "ready"),
    [
        ((0,), 0, 4),
        ((0, 1, 3), 0, 8),
        ((0, 1, 3), 5, 8),
        ((0, 1, 3), 8, 8),
        ((1, 2), 0, 0),
        ((4,), 16, 18),
        ((0, 1, 2, 3, 4), 0, 18),
        ((), 0, 0),
    ],
)
def test_what_of_a_file_may_be_sent(seed: Seed, blocks: tuple[int, ...], position: int, ready: int) -> None:
    seed.list()
    seed.bring("m.gguf", *blocks)
    with Reading(seed.shelf(), seed.entry("m.gguf")) as reading:
        assert reading.ready(position, len(CONTENT)) == ready
        assert read(reading, position, ready) == CONTENT[position:ready]


def test_after_a_crash_of_the_box_only_what_reached_the_disk_counts(seed: Seed) -> None:
    seed.boot = "an earlier one"
    seed.list()
    seed.bring("m.gguf", 0, 1, 2, durable=(0,))
    with Reading(seed.shelf(), seed.entry("m.gguf")) as reading:
        assert reading.ready(0, 18) == 4


def test_a_file_is_followed_from_block_to_block_until_it_is_published(seed: Seed) -> None:
    seed.list()
    shelf = seed.shelf()
    with Reading(shelf, seed.entry("m.gguf")) as reading:
        assert reading.ready(0, 18) == 0
        seed.bring("m.gguf", 0)
        assert reading.ready(0, 18) == 4
        seed.bring("m.gguf", 0, 1, 2, 3, 4)
        seed.finish("m.gguf")
        assert reading.whole_size() == 18
        assert reading.ready(4, 18) == 18
        (seed.partial / ".begun").rename(seed.partial / ".begun-old")
        (seed.partial / "manifest.json").write_text(json.dumps({"wanted": "w" * 64, "files": []}))
        seed.partial.rename(seed.path)
        assert reading.ready(4, 18) == 18
        assert read(reading, 0, 18) == CONTENT


def test_a_file_that_was_thrown_away_is_not_sent_on(seed: Seed) -> None:
    seed.list()
    seed.bring("m.gguf", 0, 1)
    with Reading(seed.shelf(), seed.entry("m.gguf")) as reading:
        assert reading.ready(0, 18) == 8
        seed.discard("m.gguf")
        with pytest.raises(Gone):
            reading.ready(8, 18)


def test_a_file_that_was_begun_anew_is_another_one(seed: Seed) -> None:
    seed.list()
    seed.bring("m.gguf", 0, 1)
    with Reading(seed.shelf(), seed.entry("m.gguf")) as reading:
        assert reading.ready(0, 18) == 8
        # Held open here, the old one's inode cannot be given to the new one.
        seed.discard("m.gguf")
        seed.bring("m.gguf", 0, 1, 2)
        with pytest.raises(Gone):
            reading.ready(8, 18)


def test_what_was_said_of_one_file_is_not_believed_of_another(seed: Seed) -> None:
    """A look may be a moment old: the file in that place has been thrown away and begun anew since."""
    seed.list()
    seed.bring("m.gguf", 0, 1)
    shelf = seed.shelf(clock=lambda: 0.0)
    assert shelf.listing() is not None
    with (seed.partial / ".begun" / str(seed.entry("m.gguf").sha256)).open("rb"):
        seed.discard("m.gguf")
        seed.bring("m.gguf")
        with Reading(shelf, seed.entry("m.gguf")) as reading:
            assert reading.ready(0, 18) == 0


def test_links_are_not_followed(seed: Seed, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    seed.list()
    (seed.partial / "m.gguf").symlink_to(secret)
    with Reading(seed.shelf(), seed.entry("m.gguf")) as reading:
        assert reading.ready(0, 18) == 0
        assert reading.whole_size() is None
    seed.partial.joinpath("sub").symlink_to(tmp_path)
    (tmp_path / "config.json").write_bytes(b"{}")
    with Reading(seed.shelf(), seed.entry("sub/config.json")) as reading:
        assert reading.ready(0, 2) == 0


def test_it_is_told_when_something_came_down_last(seed: Seed) -> None:
    seed.list()
    now = [10.0]
    shelf = seed.shelf(clock=lambda: now[0])
    seed.bring("m.gguf", 0)
    assert shelf.moved() == 10.0
    now[0] = 20.0
    assert shelf.moved() == 10.0
    now[0] = 30.0
    seed.bring("m.gguf", 0, 1)
    assert shelf.moved() == 30.0
