"""Machines that present themselves as other systems, with NVIDIA's and Ubuntu's repositories emulated.

This shows which packages are chosen, and how repositories and their faults are handled; no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from provisioner.compat import Settings
from provisioner.engine import down
from provisioner.engine.converge import host_job
from provisioner.engine.events import Event, Kind
from provisioner.engine.run import HostOutcome, run_roles
from provisioner.engine.survey import Surveyed, survey
from provisioner.hosts import bundle
from provisioner.hosts.connect import connect
from provisioner.hosts.target import parse_host
from provisioner.hosts.transport import Access
from provisioner.report.down import DownHost
from tests.hub.server import Answer, Hub, Request, serve
from tests.integration.site import HUB_PORT, tunnels
from tests.lab import Machine
from tests.lab.nvidia import installer
from tests.lab.nvidia.deb import Deb
from tests.lab.nvidia.machine import present
from tests.lab.nvidia.repository import Emulated, emulate, file_name, flat
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import System, packages, systems

MIRROR = f"http://127.0.0.1:{HUB_PORT}"
ROLES = ("nvidia_repository", "nvidia_driver", "cuda_toolkit")


@dataclass
class Box:
    """A machine, what it presents itself as, and the server of its repositories."""

    machine: Machine
    system: System
    hub: Hub
    emulated: Emulated
    events: list[Event] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """Where NVIDIA's repository for the system is on the server."""
        url = self.emulated.variables[self.system.name]["nvidia_repository_url"]
        return "/compute/" + url.partition("/compute/")[2]

    @property
    def known(self) -> dict[str, str]:
        """What the plan is told of the repository, in place of what the data says."""
        return self.emulated.variables[self.system.name]

    def planned(self, variables: Mapping[str, Any], known: Mapping[str, str] | None = None) -> Surveyed:
        """The plan for the machine as it is now."""
        told = {"nvidia_repository_mirror": MIRROR, **variables}
        _, runfile = installer.of_mirror(MIRROR)
        of_plan = "provisioner.compat.system_variables"
        with (
            patch(f"{of_plan}.repository_for", lambda *_: dict(known or self.known)),
            patch(f"{of_plan}.knowledge.runfile", lambda *_: runfile),
        ):
            (host,) = survey([self._transport()], Settings(variables=told))
        return host

    def up(
        self,
        variables: Mapping[str, Any],
        roles: Sequence[str] = ROLES,
        *,
        known: Mapping[str, str] | None = None,
        check: bool = False,
    ) -> HostOutcome:
        """The roles of the plan that are among these, run by the engine."""
        host = self.planned(variables, known)
        wanted = [role for role in roles if role in host.plan.roles]
        self.events.clear()
        ran = run_roles(
            [host_job(host, self._access, wanted)], self.events.append, run="emulated", check=check
        )
        return ran[self.machine.name]

    def down(self) -> DownHost:
        """Everything is taken off, as `provision down` does it."""
        wish = down.wished(())
        looked = down.look([self._transport()], wish)
        (ended,) = down.take_off(looked, wish, self.events.append, run="emulated")
        return ended

    def repository(self, **changes: Any) -> dict[str, Any]:
        """The entry `system.repository` alone, on the machine. Raises Refused."""
        known = {name.removeprefix("nvidia_repository_"): value for name, value in self.known.items()}
        request = {
            **{name: known[name] for name in ("name", "arch", "url", "fingerprint")},
            "keyring": {"url": known["keyring_url"], "sha256": known["keyring_sha256"]},
            "mirror": MIRROR,
            **changes,
        }
        payload = bundle.payload("system.repository", request)
        done = self.machine.run("python3", "-I", "-c", bundle.loader(), input=payload, check=False)
        return bundle.parse_answer(done.stdout.encode())

    @property
    def changed(self) -> list[str]:
        """Tasks of the last run that changed something."""
        return [event.task for event in self.events if event.kind is Kind.CHANGED]

    def drop(self, version: str) -> list[Deb]:
        """NVIDIA's repository loses all packages of a driver's version, as it does with old ones; which."""
        every = list(packages(self.system, self.system.nvidia))
        gone = [deb for deb in every if deb.version.startswith(version)]
        for deb in gone:
            del self.hub.files[f"{self.folder}{file_name(deb)}"]
        index = flat([deb for deb in every if deb not in gone], self.emulated.key, "NVIDIA CUDA")
        self.hub.files.update({self.folder + name: content for name, content in index.items()})
        return gone

    def installed(self) -> set[str]:
        """Packages that are wholly installed."""
        show = "${db:Status-Abbrev} ${Package}\n"
        lines = self.machine.run("dpkg-query", "-W", "-f", show).stdout.splitlines()
        return {line.split()[1] for line in lines if line.startswith(("ii", "hi"))}

    def candidate(self, package: str) -> str:
        """The version that apt would install."""
        said = self.machine.run("env", "LC_ALL=C", "apt-cache", "policy", package).stdout
        return next((line.split()[1] for line in said.splitlines() if "Candidate:" in line), "unknown")

    def files(self) -> list[str]:
        """Everything below /etc/apt that is called as ours are."""
        return self.machine.run("find", "/etc/apt", "-name", "*provisioner*").stdout.split()

    @property
    def _access(self) -> Access:
        return Access(ssh_config=str(self.machine.ssh_config))

    def _transport(self) -> Any:
        return connect(parse_host(self.machine.name), self._access)


def _as_nvidia_names_it(hub: Hub, request: Request) -> Answer | None:
    """Its indexes say `./NAME`, which apt asks for as it is."""
    plain = request.path.replace("/./", "/")
    return Answer(hub.files[plain]) if plain != request.path and plain in hub.files else None


@contextmanager
def emulation(machines: Mapping[str, Machine], folder: Path) -> Iterator[dict[str, Box]]:
    """One server for all the machines, each by the name of the system that it presents itself as."""
    with _served(machines, list(machines.values()), folder) as boxes:
        for box in boxes.values():
            present(box.machine, box.system, MIRROR, box.emulated.key)
        yield boxes


@contextmanager
def in_turn(machine: Machine, names: Sequence[str], folder: Path) -> Iterator[Callable[[str], Box]]:
    """One machine for several systems: what is yielded makes it present itself as the one that is named.

    Of archives it knows those that are emulated only: nothing comes that is not known to the byte.
    """
    with _served(dict.fromkeys(names, machine), [machine], folder) as boxes:

        def become(name: str) -> Box:
            present(machine, boxes[name].system, MIRROR, boxes[name].emulated.key, alone=True)
            return boxes[name]

        yield become


@contextmanager
def _served(
    systems_on: Mapping[str, Machine], machines: Sequence[Machine], folder: Path
) -> Iterator[dict[str, Box]]:
    key = SigningKey.make(folder / "gpg")
    try:
        held = emulate(key, systems_on)
        with (
            serve({**held.files, installer.of_mirror(MIRROR)[0]: installer.CONTENT}) as hub,
            tunnels(machines, hub.url),
        ):
            hub.routes.append(lambda request: _as_nvidia_names_it(hub, request))
            yield {name: Box(machine, systems()[name], hub, held) for name, machine in systems_on.items()}
    finally:
        key.close()
