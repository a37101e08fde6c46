from __future__ import annotations

import json
import os
import platform
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.facts import Facts
from provisioner.target import probe
from provisioner.target.probe.box import Box
from provisioner.target.probe.collect import home_of_login, surroundings

Plant = Callable[..., Path]

RECEIPT = {
    "schema": 1,
    "role": "host_base",
    "role_digest": "d",
    "inputs": {},
    "resources": [
        {
            "id": "host_base.bash",
            "kind": "package",
            "name": "bash",
            "value": {"state": "present", "version": "5.1"},
        }
    ],
    "result": None,
    "request": None,
    "written_at": "t",
    "tool": "0.1.0",
    "run": "r",
}
TREE = {
    "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "/proc/cpuinfo": "processor : 0\nmodel name : EPYC\nphysical id : 0\ncore id : 0\nflags : fpu\n",
    "/proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 500 kB\n",
    "/proc/self/cgroup": "0::/\n",
    "/proc/self/mountinfo": "1 0 254:0 / / rw - ext4 /dev/vda rw\n",
    "/proc/sys/kernel/hostname": "box\n",
    "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
    "/proc/sys/kernel/random/boot_id": "7d8c\n",
    "/run/systemd/system/": "",
    "/sys/": "",
    "/var/lib/dpkg/status": "Package: bash\nStatus: install ok installed\nVersion: 5.2\n",
    "/var/lib/provisioner/receipts/host_base.json": json.dumps(RECEIPT),
    "/root/.local/share/provisioner/state/receipts/smoke_test.pending.json": "{}",
}


def test_facts_of_a_small_emulated_machine(plant: Plant) -> None:
    found = probe.main({"root": str(plant(TREE)), "receipts": None})
    assert found == {
        "schema": 1,
        "hostname": "box",
        "os": {
            "id": "debian",
            "version_id": "12",
            "pretty": "Debian GNU/Linux 12 (bookworm)",
            "like": [],
            "kernel": "6.1.0-18-amd64",
            "arch": "",
            "libc": "",
            "libc_version": "",
            "systemd": True,
            "wsl": False,
            "container": None,
            "secure_boot": None,
            "boot": "7d8c",
        },
        "python": None,
        "user": {"name": "root", "uid": 0, "home": "/root", "shell": "/bin/bash"},
        "privilege": "root",
        "cpu": {"model": "EPYC", "cores": 1, "threads": 1, "flags": ["fpu"]},
        "memory": {"total_bytes": 1_024_000, "available_bytes": 512_000, "limit_bytes": None},
        "gpus": [],
        "driver_version": None,
        "addresses": [],
        "places": {
            "system": {
                "code": "/opt/provisioner",
                "state": "/var/lib/provisioner",
                "cache": "/var/cache/provisioner",
            },
            "user": {
                "code": "/root/.local/share/provisioner/code",
                "state": "/root/.local/share/provisioner/state",
                "cache": "/root/.cache/provisioner",
            },
        },
        "disks": {},
        "receipts": [
            {
                "scope": "system",
                "role": "host_base",
                "path": "/var/lib/provisioner/receipts/host_base.json",
                "error": None,
                "body": RECEIPT,
                "observed": {"host_base.bash": {"state": "present", "version": "5.2"}},
            }
        ],
        "pending": ["smoke_test"],
        "awaiting": [],
        "holder": None,
        "audit": None,
        "unknown": [
            {"what": "os.arch", "why": "a recorded tree does not tell"},
            {"what": "os.libc", "why": "a recorded tree does not tell"},
            {"what": "os.secure_boot", "why": "/sys/firmware is not there"},
            {"what": "disks", "why": "a recorded tree has no free space to measure"},
            {"what": "python", "why": "a recorded tree has no interpreter"},
        ],
    }


def test_facts_of_this_machine_decode(tmp_path: Path) -> None:
    found = json.loads(json.dumps(probe.main({"receipts": [str(tmp_path)], "root": "/"})))
    facts = Facts.decode(found)
    assert facts.to_json() == found
    assert (facts.hostname, facts.os.kernel, facts.os.arch) == (
        platform.node(),
        platform.release(),
        platform.machine(),
    )
    assert facts.python is not None
    assert facts.python.version == platform.python_version()
    assert facts.python.executable == sys.executable
    assert (facts.user.uid, facts.user.home) == (os.geteuid(), os.environ["HOME"])
    assert facts.receipts == ()
    assert set(facts.disks) == {
        getattr(place, kind) for place in facts.places.values() for kind in ("code", "state", "cache")
    }


def test_without_an_account_there_is_no_user_scope(plant: Plant) -> None:
    found = probe.main({"root": str(plant({**TREE, "/etc/passwd": ""})), "receipts": None})
    assert list(found["places"]) == ["system"]
    assert {"what": "user", "why": "uid 0 has no account"} in found["unknown"]


def test_the_probe_writes_nothing(plant: Plant) -> None:
    root = plant(TREE)

    def state() -> list[Any]:
        return sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))

    before = state()
    probe.main({"root": str(root), "receipts": None})
    assert state() == before


@pytest.mark.parametrize(
    ("environ", "kept"),
    [
        ({"HOME": "/h", "XDG_DATA_HOME": "/d", "PATH": "/bin"}, {"HOME": "/h", "XDG_DATA_HOME": "/d"}),
        ({"HOME": "/h", "XDG_DATA_HOME": "/d", "SUDO_UID": "1000"}, {}),
    ],
)
def test_under_sudo_the_callers_folders_are_left_out(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], kept: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", environ)
    assert surroundings(Box()) == (kept, os.geteuid())


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({}, None),
        ({"SUDO_UID": "0"}, pwd.getpwuid(0).pw_dir),
        ({"SUDO_UID": "x"}, None),
        ({"SUDO_UID": "4294967290"}, None),
    ],
)
def test_under_sudo_the_users_places_are_the_callers(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], home: str | None
) -> None:
    monkeypatch.setattr(os, "environ", environ)
    assert home_of_login(Box()) == home
