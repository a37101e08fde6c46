"""A machine that presents itself as Rocky Linux 9.4, with NVIDIA's repository of EL 9 emulated.

dnf and rpm are real ones, the packages are stubs: this shows what is chosen, refused, held and put back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hub.server import serve
from tests.integration.emulated import MIRROR, Box
from tests.integration.site import STATE, tunnels
from tests.lab import Machine
from tests.lab.nvidia import el9
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import System

SYSTEM = System(name=el9.NAME, release="bookworm", os={}, nvidia=(), archive=(), branches=())
STREAM = "/etc/dnf/modules.d/nvidia-driver.module"
_FORMAT = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n"


@dataclass
class DnfBox(Box):
    """What rpm and dnf say of such a machine."""

    def packages(self) -> dict[str, str]:
        """Every package with its version, an epoch of 0 left out; without keys."""
        lines = self.machine.run("rpm", "-qa", "--queryformat", _FORMAT).stdout.splitlines()
        pairs = (line.split() for line in lines)
        return {name: version.removeprefix("0:") for name, version in pairs if name != "gpg-pubkey"}

    def installed(self) -> set[str]:
        """Their names."""
        return set(self.packages())

    def files(self) -> list[str]:
        """Everything of dnf's that is called as ours are."""
        said = self.machine.run("find", "/etc/yum.repos.d", "/etc/pki", "-name", "*provisioner*").stdout
        return sorted(said.split())

    def held(self) -> set[str]:
        """The names that versionlock keeps, as its plugin lists them."""
        said = self.machine.run("dnf", "-q", "--cacheonly", "versionlock", "list").stdout
        return {line.rsplit("-", 2)[0] for line in said.splitlines() if line and " " not in line}

    def dnf(self, *argv: str) -> str:
        """What dnf says; whether it did it is the caller's to read."""
        done = self.machine.run("env", "LC_ALL=C", "dnf", "-y", *argv, check=False)
        return done.stdout + done.stderr

    def receipt(self, role: str) -> Mapping[str, Any]:
        """A role's receipt."""
        found: dict[str, Any] = json.loads(self.machine.run("cat", f"{STATE}/receipts/{role}.json").stdout)
        return found


@contextmanager
def emulated_el9(machine: Machine, folder: Path) -> Iterator[DnfBox]:
    """The machine, a Debian 12 that has just been made, as EL 9 from now on; and a server for it."""
    key = SigningKey.make(folder / "gpg")
    try:
        held = el9.emulate(machine, key)
        with serve(held.files) as hub, tunnels([machine], hub.url):
            el9.present(machine, MIRROR, key)
            yield DnfBox(machine, SYSTEM, hub, held)
    finally:
        key.close()
