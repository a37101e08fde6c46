"""Amounts and lists in words."""

from __future__ import annotations

import pytest

from provisioner.preflight.words import listed, seconds, several, size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_540_000, "9.5 MB"),
        (24_000_000_000, "24 GB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_bytes(count: int, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0.44, "0.4 seconds"), (42.3, "42 seconds"), (180, "3 minutes")]
)
def test_seconds(count: float, words: str) -> None:
    assert seconds(count) == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 cores"), (1, "1 core"), (2, "2 cores")])
def test_counts(count: int, words: str) -> None:
    assert several(count, "core") == words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", ""], "a and one without a name"),
        (list("abcd"), "a, b, c and d"),
        (list("abcdefg"), "a, b, c and 4 more"),
    ],
)
def test_lists(names: list[str], words: str) -> None:
    assert listed(names) == words
