"""What the probe is asked."""

from __future__ import annotations

from provisioner.compat.knowledge import machine_keys
from provisioner.preflight.request import audit_request


def test_nobody_is_asked_unless_mirrors_are_named() -> None:
    keys = [key.certificate for key in machine_keys()]
    assert keys
    asked = audit_request()
    assert asked == {"volumes": [], "certificates": list(dict.fromkeys(keys)), "network": None}


def test_folders_and_mirrors() -> None:
    mirror = {"what": "weights", "address": "https://mirror.invalid"}
    asked = audit_request(["/mnt"], [mirror])
    assert (asked["volumes"], asked["network"]) == (["/mnt"], {"mirrors": [mirror]})
    assert audit_request(mirrors=[])["network"] == {"mirrors": []}
