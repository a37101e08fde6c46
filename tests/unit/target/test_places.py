from __future__ import annotations

import pytest

from provisioner.target.places import places

SYSTEM = {"code": "/opt/provisioner", "state": "/var/lib/provisioner", "cache": "/var/cache/provisioner"}
HOME = {
    "code": "/home/ann/.local/share/provisioner/code",
    "state": "/home/ann/.local/share/provisioner/state",
    "cache": "/home/ann/.cache/provisioner",
}
CASES = {
    "nothing set": ({}, HOME),
    "empty is not set": ({"XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}, HOME),
    "relative is ignored": ({"XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "./cache"}, HOME),
    "set": (
        {"XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c/"},
        {"code": "/d/provisioner/code", "state": "/d/provisioner/state", "cache": "/c/provisioner"},
    ),
}


@pytest.mark.parametrize(("environ", "user"), CASES.values(), ids=CASES.keys())
def test_places(environ: dict[str, str], user: dict[str, str]) -> None:
    assert places(environ, "/home/ann") == {"system": SYSTEM, "user": user}
