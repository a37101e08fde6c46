"""Installers that are one file."""

from __future__ import annotations

from provisioner.compat import knowledge as known


def test_an_installer_is_found_by_what_it_installs_and_where() -> None:
    found = known.runfile("toolkit", "12.4", "x86_64")

    assert found is not None
    assert found.variable == {
        "url": found.url,
        "sha256": "367d2299b3a4588ab487a6d27276ca5d9ead6e394904f18bccb9e12433b9c4fb",
        "size": 0,
        "disk": 12_000_000_000,
    }
    assert known.runfile("toolkit", "12.4", "ppc64le") is None
    assert known.runfile("driver", "12.4", "x86_64") is None
