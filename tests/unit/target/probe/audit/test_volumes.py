"""Which folders the audit looks below."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.target.probe.audit.volumes import folders

PLACES = {
    "system": {"code": "/opt/p", "state": "/var/p", "cache": "/var/cache/p"},
    "user": {"code": "/home/me/p/code", "state": "/home/me/p/state", "cache": "/home/me/c"},
}


@pytest.mark.parametrize(
    ("places", "asked", "expected"),
    [
        (PLACES, ["/mnt/w"], ["/mnt/w", "/var/p", "/opt/p", "/home/me/p/state", "/home/me/p/code"]),
        ({"system": PLACES["system"]}, ["/var/p"], ["/var/p", "/opt/p"]),
        ({}, None, []),
    ],
)
def test_folders(places: dict[str, Any], asked: list[str] | None, expected: list[str]) -> None:
    assert folders({"places": places}, {"volumes": asked}) == expected
