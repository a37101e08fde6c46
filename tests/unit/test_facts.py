from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from provisioner.facts import (
    Awaiting,
    Body,
    Cpu,
    Disk,
    Facts,
    Gpu,
    Holder,
    Memory,
    OperatingSystem,
    Places,
    Python,
    Receipt,
    Scope,
    Unknown,
    User,
)

WHOLE: dict[str, Any] = {
    "schema": 1,
    "hostname": "gpu-box",
    "os": {
        "id": "debian",
        "version_id": "12",
        "pretty": "Debian GNU/Linux 12 (bookworm)",
        "like": ["linux"],
        "kernel": "6.1.0-18-amd64",
        "arch": "x86_64",
        "libc": "glibc",
        "libc_version": "2.36",
        "systemd": True,
        "wsl": False,
        "container": None,
        "secure_boot": True,
        "boot": "7d8c",
    },
    "python": {"version": "3.11.2", "executable": "/usr/bin/python3"},
    "user": {"name": "root", "uid": 0, "home": "/root", "shell": "/bin/bash"},
    "privilege": "root",
    "cpu": {"model": "EPYC", "cores": 8, "threads": 16, "flags": ["avx2"]},
    "memory": {"total_bytes": 64, "available_bytes": 60, "limit_bytes": None},
    "gpus": [
        {
            "address": "0000:01:00.0",
            "vendor": "0x10de",
            "device": "0x2684",
            "name": "RTX 4090",
            "memory_bytes": 24,
            "capability": "8.9",
            "driver": "nvidia",
        }
    ],
    "driver_version": "550.54.15",
    "addresses": ["192.0.2.7"],
    "places": {"system": {"code": "/o", "state": "/s", "cache": "/c"}},
    "disks": {"/o": {"total_bytes": 10, "free_bytes": 5, "fs": "ext4", "windows": False}},
    "receipts": [
        {
            "scope": "system",
            "role": "python_env",
            "path": "/s/receipts/python_env.json",
            "error": None,
            "body": {
                "schema": 1,
                "role": "python_env",
                "role_digest": "d1",
                "inputs": {"python_env_name": "main"},
                "resources": [{"id": "python_env.env", "kind": "tree", "path": "/e", "value": {}}],
                "result": None,
                "request": {"profile": "gemma3-270m"},
                "written_at": "2026-01-01T00:00:00Z",
                "tool": "0.1.0",
                "run": "r1",
            },
            "observed": {"python_env.env": {"state": "absent"}},
        }
    ],
    "pending": ["smoke_test", "nvidia_driver", "kernel_options"],
    "awaiting": [
        {
            "scope": "system",
            "role": "nvidia_driver",
            "why": "nouveau is loaded",
            "boot": "7d8c:1",
            "restarted": False,
        }
    ],
    "holder": {"who": "ann@desk", "run": "r2", "since": "2026-01-01T00:00:00Z", "pid": 7},
    "audit": None,
    "unknown": [{"what": "os.boot", "why": "not there"}],
}

DECODED = Facts(
    schema=1,
    hostname="gpu-box",
    os=OperatingSystem(
        id="debian",
        version_id="12",
        pretty="Debian GNU/Linux 12 (bookworm)",
        like=("linux",),
        kernel="6.1.0-18-amd64",
        arch="x86_64",
        libc="glibc",
        libc_version="2.36",
        systemd=True,
        wsl=False,
        container=None,
        secure_boot=True,
        boot="7d8c",
    ),
    python=Python("3.11.2", "/usr/bin/python3"),
    user=User("root", 0, "/root", "/bin/bash"),
    privilege="root",
    cpu=Cpu("EPYC", 8, 16, ("avx2",)),
    memory=Memory(64, 60, None),
    gpus=(Gpu("0000:01:00.0", "0x10de", "0x2684", "RTX 4090", 24, "8.9", "nvidia"),),
    driver_version="550.54.15",
    addresses=("192.0.2.7",),
    places={"system": Places("/o", "/s", "/c")},
    disks={"/o": Disk(10, 5, "ext4")},
    receipts=(
        Receipt(
            scope="system",
            role="python_env",
            path="/s/receipts/python_env.json",
            body=Body(
                schema=1,
                role="python_env",
                role_digest="d1",
                inputs={"python_env_name": "main"},
                resources=({"id": "python_env.env", "kind": "tree", "path": "/e", "value": {}},),
                request={"profile": "gemma3-270m"},
                written_at="2026-01-01T00:00:00Z",
                tool="0.1.0",
                run="r1",
            ),
            observed={"python_env.env": {"state": "absent"}},
        ),
    ),
    pending=("smoke_test", "nvidia_driver", "kernel_options"),
    awaiting=(Awaiting("system", "nvidia_driver", "nouveau is loaded", "7d8c:1", restarted=False),),
    holder=Holder("ann@desk", "r2", "2026-01-01T00:00:00Z", 7),
    unknown=(Unknown("os.boot", "not there"),),
)


def test_decodes_whole_facts_and_gives_them_back() -> None:
    assert Facts.decode(WHOLE) == DECODED
    assert DECODED.to_json() == WHOLE


def test_a_box_without_python_is_facts_too() -> None:
    glance = {
        "schema": 1,
        "python": None,
        "os": {"id": "debian", "version_id": "12", "pretty": "Debian 12"},
        "uid": 1000,
        "sudo": "yes",
    }
    why = "there is no Python on the box yet"
    assert Facts.decode(glance) == Facts(
        schema=1,
        hostname="",
        os=OperatingSystem(id="debian", version_id="12", pretty="Debian 12"),
        python=None,
        user=User("", 1000),
        privilege="none",
        places={
            "system": Places("/opt/provisioner", "/var/lib/provisioner", "/var/cache/provisioner"),
        },
        unknown=tuple(Unknown(what, why) for what in ("cpu", "memory", "gpus", "disks", "receipts")),
    )
    assert Facts.decode({**glance, "uid": 0}).privilege == "root"
    assert Facts.decode({**glance, "root": "yes"}).privilege == "root"  # the stage found that sudo works


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("hostname",), None, "the probe's answer is wrong at hostname: Expected `str`, got `null`"),
        (
            ("memory", "total_bytes"),
            "64",
            "the probe's answer is wrong at memory.total_bytes: Expected `int | null`, got `str`",
        ),
        (
            ("gpus", 0, "address"),
            7,
            "the probe's answer is wrong at gpus[0].address: Expected `str`, got `int`",
        ),
        (("privilege",), "king", "the probe's answer is wrong at privilege: Invalid enum value 'king'"),
        (
            ("places", "system"),
            {},
            "the probe's answer is wrong at places[...]: Object missing required field `code`",
        ),
        (
            ("schema",),
            2,
            "the probe answered with facts of schema 2, this version reads schema 1",
        ),
        (
            ("schema",),
            None,
            "the probe answered with facts of schema None, this version reads schema 1",
        ),
    ],
)
def test_a_wrong_shape_names_the_field(path: tuple[Any, ...], value: Any, message: str) -> None:
    broken = copy.deepcopy(WHOLE)
    inner: Any = broken
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ProvisionError) as caught:
        Facts.decode(broken)
    assert caught.value.message == message
    assert caught.value.hint


def test_facts_are_found_by_name() -> None:
    assert DECODED.receipt("python_env", "system") is DECODED.receipts[0]
    assert DECODED.receipt("python_env", "user") is None
    assert DECODED.receipt("smoke_test", "system") is None
    assert DECODED.why_unknown("os.boot") == "not there"
    assert DECODED.why_unknown("os.id") is None


def test_importing_the_schema_stays_cheap() -> None:
    code = "import sys, provisioner.facts; print([m for m in ('msgspec', 'json') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"


def test_a_bare_box_where_sudo_works_can_be_given_python() -> None:
    bare: dict[str, Any] = {
        "schema": 1,
        "python": None,
        "os": {},
        "uid": 1000,
        "root": "yes",
        "sudo": "password",
    }
    assert Facts.decode(bare).privilege == "root"
    assert Facts.decode(bare | {"root": "no"}).privilege == "none"


def test_a_restart_is_wanted_while_a_role_of_the_scope_waits_for_one() -> None:
    def wish(role: str, why: str, scope: Scope = "system", *, restarted: bool = False) -> Awaiting:
        return Awaiting(scope, role, why, "7d8c:1", restarted)

    wishes = (wish("a", "x"), wish("b", "y"), wish("c", "x"), wish("d", "z", restarted=True))
    facts = replace(DECODED, awaiting=(*wishes, wish("e", "w", "user")))
    assert (facts.restart_wanted("system"), facts.restart_wanted("user")) == ("x; y", "w")
    assert replace(DECODED, awaiting=wishes[3:]).restart_wanted("system") is None
