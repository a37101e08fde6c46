"""Words that mean that a clock is behind; those of others mean something else."""

from __future__ import annotations

import pytest

from provisioner.target import clock


@pytest.mark.parametrize(
    ("said", "behind"),
    [
        ("E: Release file for http://m/InRelease is not valid yet (invalid for another 3h).", True),
        ("certificate verify failed: certificate is not yet valid (_ssl.c:1006)", True),
        ("The certificate chain uses not yet valid certificate.", True),
        ("invalid peer certificate: NotValidYet", True),
        ("certificate has expired", False),
        ("E: Release file for http://m/InRelease is expired (invalid since 3d).", False),
    ],
)
def test_who_is_told_of_the_clock(said: str, behind: bool) -> None:
    assert clock.behind(said) is behind
