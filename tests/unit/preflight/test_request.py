"""What the probe is asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provisioner.compat.knowledge import machine_keys
from provisioner.preflight import request
from provisioner.preflight.request import probe_request


def test_nobody_is_asked_and_nothing_measured_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.5)
    monkeypatch.setattr(request, "_boot_id", lambda: "b")
    keys = [key.certificate for key in machine_keys()]
    assert keys
    assert probe_request() == {
        "receipts": [],
        "root": "/",
        "audit": {
            "volumes": [],
            "certificates": list(dict.fromkeys(keys)),
            "network": None,
            "now": 1.5,
            "boot": "b",
            "skip": [],
            "bench": None,
        },
    }


def test_folders_mirrors_and_rates() -> None:
    mirror = {"what": "weights", "address": "https://mirror.invalid"}
    asked = probe_request(["/mnt"], [mirror], skip=["bench"], bench="")["audit"]
    assert (asked["volumes"], asked["network"]) == (["/mnt"], {"mirrors": [mirror]})
    assert (asked["skip"], asked["bench"]) == (["bench"], {"path": ""})
    assert probe_request(mirrors=[])["audit"]["network"] == {"mirrors": []}


def test_containers_of_this_kernel_share_its_clock() -> None:
    ours = Path("/proc/sys/kernel/random/boot_id")
    expected = ours.read_text().strip() if ours.exists() else ""
    assert probe_request()["audit"]["boot"] == expected
