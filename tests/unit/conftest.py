"""Unit tests see no network, and nothing of the account they run under."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest

from tests.real_box import RealBox

# Settings of the account or of CI that change what the code under test does.
_LEAKS = ("ANSIBLE_", "HF_", "PIP_", "PROVISION_", "SUDO_", "UV_", "XDG_", "SSH_", "NO_COLOR", "COLUMNS")

_real_connect = socket.socket.connect


def _connect(self: socket.socket, address: object) -> None:
    if isinstance(address, tuple) and not ipaddress.ip_address(str(address[0])).is_loopback:
        raise AssertionError(f"a unit test reached for the network: {address}")
    _real_connect(self, address)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nobodys_account(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(_LEAKS):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(socket.socket, "connect", _connect)
    return home


@pytest.fixture(scope="session")
def real_box(tmp_path_factory: pytest.TempPathFactory) -> RealBox:
    """Shared by all slow tests: they leave its parts as they were."""
    return RealBox(tmp_path_factory.mktemp("box"))
