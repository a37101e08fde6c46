"""Fat binaries: a real one (an empty kernel, by CUDA 13.0's fatbinary), whole, cut and amid other bytes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scripts.fatbin import Entry, entries

REAL = Path(__file__).parents[1].joinpath("data/fatbin/sm80-sm90-ptx80.fatbin").read_bytes()
# What `cuobjdump --list-elf --list-ptx` of CUDA 13.5 says of it.
LISTED = [Entry(0, "elf", "8.0"), Entry(0, "elf", "9.0"), Entry(0, "ptx", "8.0")]
MAGIC = REAL[:4]


class Slow(io.BytesIO):
    """Gives a few bytes at a time, whatever is asked for."""

    def read(self, count: int | None = -1) -> bytes:
        return super().read(min(count if count and count > 0 else 7, 7))


@pytest.mark.parametrize("stream", [io.BytesIO, Slow])
def test_a_real_one_has_what_cuobjdump_lists(stream: type[io.BytesIO]) -> None:
    assert list(entries(stream(REAL))) == LISTED


@pytest.mark.parametrize("stream", [io.BytesIO, Slow])
def test_several_are_found_amid_other_bytes(stream: type[io.BytesIO]) -> None:
    library = b"\x7fELF" + bytes(999) + REAL + MAGIC[:3] + b"text" + REAL + bytes(5)

    assert list(entries(stream(library))) == [*LISTED, *(one._replace(binary=1) for one in LISTED)]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (MAGIC, []),
        (REAL[:15], []),
        (REAL[:40], []),
        (REAL[: len(REAL) // 3], LISTED[:1]),
        (MAGIC + bytes(100) + REAL, LISTED),
        (MAGIC + b"\x01\x00\x10\x00" + b"\xff" * 8 + bytes(200), []),
        (REAL[:16] + b"\x07" + REAL[17:], []),
    ],
    ids=[
        "empty", "only the magic", "a cut container", "a cut entry", "cut in its payload",
        "the magic amid data", "a length that is a lie", "an unknown kind",
    ],
)  # fmt: skip
def test_what_is_no_whole_fat_binary_ends_no_reading(data: bytes, found: list[Entry]) -> None:
    assert list(entries(io.BytesIO(data))) == found
