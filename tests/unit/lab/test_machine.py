"""A machine as it is written down, and the arguments that start one."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.lab import lifecycle
from tests.lab.machine import Machine
from tests.lab.users import PASSWORD, User

BOX = Machine("box", "trixie", 22101, Path("/srv/lab/machines/box"), (User("ci", "no-sudo"),))


def test_a_machine_is_read_back_as_written() -> None:
    assert Machine.from_json(BOX.to_json()) == BOX


def test_json_names_all_that_another_program_needs() -> None:
    assert json.loads(BOX.to_json()) == {
        "name": "box",
        "release": "trixie",
        "address": "127.0.0.1",
        "port": 22101,
        "users": [{"name": "ci", "sudo": "no-sudo"}],
        "password": PASSWORD,
        "container": "provision-lab-box",
        "home": "/srv/lab/machines/box",
        "ssh_config": "/srv/lab/machines/box/ssh_config",
        "key": "/srv/lab/machines/box/key",
        "known_hosts": "/srv/lab/machines/box/known_hosts",
    }


@pytest.mark.parametrize(("user", "alias"), [("root", "box"), ("ci", "box-ci")])
def test_alias(user: str, alias: str) -> None:
    assert BOX.alias(user) == alias


def test_files_put_into_a_machine_belong_to_root() -> None:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        lifecycle._put(tar, "root/.ssh", b"", 0o700, directory=True)
        lifecycle._put(tar, "root/.ssh/authorized_keys", b"key\n", 0o600)
    with tarfile.open(fileobj=BytesIO(buffer.getvalue())) as tar:
        entries = [(entry.name, entry.isdir(), entry.mode, entry.uid, entry.size) for entry in tar]
    assert entries == [("root/.ssh", True, 0o700, 0, 0), ("root/.ssh/authorized_keys", False, 0o600, 0, 4)]


def test_ports_stay_below_those_the_kernel_hands_out() -> None:
    default_range_starts_at = 32768  # net.ipv4.ip_local_port_range
    assert lifecycle.PORTS.start > 1024
    assert lifecycle.PORTS.stop <= default_range_starts_at
