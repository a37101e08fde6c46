"""What is said of a name that nobody knows."""

from __future__ import annotations

import pytest

from provisioner.nearest import nearest_hint

MANY = [f"n{number}" for number in range(14)]


@pytest.mark.parametrize(
    ("wrong", "known", "hint"),
    [
        ("gpu-bx", ["gpu-box", "rack"], "did you mean gpu-box?"),
        ("else", ["gpu-box", "rack"], "known: gpu-box, rack"),
        ("else", MANY, "known: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, and 2 more"),
        ("else", [], "there is none to choose from"),
    ],
)
def test_the_next_step(wrong: str, known: list[str], hint: str) -> None:
    assert nearest_hint(wrong, known) == hint
