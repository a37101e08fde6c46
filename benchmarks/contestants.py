"""Three ways to confirm that a machine is as it should be, each as the command that a user would start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioner import layout
from provisioner.compat import Settings
from provisioner.compat.roles import ORDER
from provisioner.engine.converge import host_job
from provisioner.engine.run import environment, write_inputs
from provisioner.engine.survey import Surveyed, survey
from provisioner.hosts.connect import connect
from provisioner.hosts.ssh import SshTransport
from provisioner.hosts.target import parse_host
from provisioner.hosts.transport import Access

PYINFRA = "pyinfra==3.10.0"
BESIDE = Path(sys.executable).parent


@dataclass(frozen=True)
class Contestant:
    """`before` is not measured; `confirms` says whether the output tells of a machine that needs nothing."""

    name: str
    argv: Sequence[str]
    confirms: Callable[[str], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None

    def run(self) -> str:
        """The output of one run. Raises RuntimeError when it was not a confirmation."""
        done = subprocess.run(
            self.argv,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode or not self.confirms(done.stdout):
            raise RuntimeError(f"{self.name} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout


@dataclass(frozen=True)
class Box:
    """A converged machine and the way to it."""

    host: str
    ssh_config: str | None

    @property
    def access(self) -> Access:
        return Access(ssh_config=self.ssh_config)

    def look(self) -> Surveyed:
        """What the probe finds there."""
        (found,) = survey([connect(parse_host(self.host), self.access)], Settings())
        return found

    def hang_up(self) -> None:
        """End the shared connection: what comes next has to log in."""
        transport = connect(parse_host(self.host), self.access)
        assert isinstance(transport, SshTransport)
        transport.forget()

    def states(self, found: Surveyed) -> list[dict[str, Any]]:
        """Every state that the receipts name, each once."""
        assert found.result.facts is not None
        states: dict[str, dict[str, Any]] = {}
        for receipt in found.result.facts.receipts:
            assert receipt.body is not None
            for resource in receipt.body.resources:
                states[resource["id"]] = dict(resource)
        return list(states.values())


def ours(box: Box, state: Path, *, cold: bool) -> Contestant:
    """`provision up --host`."""
    config = ["--ssh-config", box.ssh_config] if box.ssh_config else []
    return Contestant(
        name=f"provision up, {'cold' if cold else 'warm'} connection",
        argv=[str(BESIDE / "provision"), "up", "--host", box.host, *config],
        env={"XDG_STATE_HOME": str(state)},
        confirms=lambda text: "nothing to do" in text,
        before=box.hang_up if cold else lambda: None,
    )


def login(box: Box) -> Contestant:
    """What nobody who logs in can be faster than."""
    config = ["-F", box.ssh_config] if box.ssh_config else []
    argv = ["ssh", *config, "-o", "ControlPath=none", box.host, "true"]
    return Contestant("ssh HOST true, cold connection", argv, lambda text: text == "")


def ansible(box: Box, found: Surveyed, folder: Path, *, cold: bool) -> Contestant:
    """ansible-playbook with all our roles and the variables of the plan, pipelined, on a kept connection."""
    place = folder / ("cold" if cold else "warm")
    place.mkdir()
    job = host_job(found, box.access, ORDER)
    write_inputs(place, {"box": "box"}, [job], "benchmark")
    inventory = str(place / "inventory" / "hosts.json")
    return Contestant(
        name=f"ansible-playbook, {'cold' if cold else 'warm'} connection",
        argv=[str(BESIDE / "ansible-playbook"), "-i", inventory, str(layout.playbooks() / "up.yml")],
        env={name: value for name, value in environment(place).items() if name != "PATH"},
        confirms=lambda text: re.search(r"ok=\d+\s+changed=0\s+unreachable=0\s+failed=0", text) is not None,
        before=box.hang_up if cold else lambda: None,
    )


def pyinfra(box: Box, states: Sequence[Mapping[str, Any]], folder: Path, cache: Path) -> Contestant:
    """pyinfra with one operation a state. It keeps no connection, so each of its runs logs in."""
    deploy = folder / "deploy.py"
    deploy.write_text(deploy_script(states), encoding="utf-8")
    way = resolved(box)
    data = {
        "ssh_hostname": way["hostname"],
        "ssh_port": int(way["port"]),
        "ssh_user": way["user"],
        "ssh_key": way["identityfile"],
        "ssh_known_hosts_file": way["userknownhostsfile"].split()[0],
        "ssh_strict_host_key_checking": "yes",
    }
    inventory = folder / "inventory.py"
    inventory.write_text(f"hosts = [('box', {data!r})]\n", encoding="utf-8")
    return Contestant(
        name="pyinfra",
        argv=[str(pyinfra_program(cache)), "-y", str(inventory), str(deploy)],
        # So many operations: some succeeded (commands always run), none failed, the others had nothing to do.
        confirms=lambda text: re.search(rf"Grand total +{len(states)} +\d+ +- +\d+", text) is not None,
    )


def deploy_script(states: Sequence[Mapping[str, Any]]) -> str:
    """A deploy that states what the receipts state, in pyinfra's own operations where it has them."""
    lines = ["from pyinfra.operations import apt, files, server"]
    for state in states:
        value, name = state.get("value", {}), str(state["id"])
        path = str(state.get("path", ""))
        match state["kind"], value.get("type"):
            case "package", _:
                lines.append(f"apt.packages(name={name!r}, packages=[{state['name']!r}])")
            case "file", "file":
                lines.append(f"files.file(name={name!r}, path={path!r}, mode={value['mode'].lstrip('0')!r})")
            case "file", "dir":
                mode = value["mode"].lstrip("0")
                lines.append(f"files.directory(name={name!r}, path={path!r}, mode={mode!r})")
            case "tree", _:
                # Without an operation that knows content: one that lists the tree, as receipts do.
                listing = f"find {path} -printf '%P %s %T@ %m\\n' | sort | sha256sum"
                lines.append(f"server.shell(name={name!r}, commands=[{listing!r}])")
            case "kernel", _:
                lines.append(f"server.shell(name={name!r}, commands=['uname -r'])")
            case "driver", _:
                command = "cat /proc/driver/nvidia/version || true"
                lines.append(f"server.shell(name={name!r}, commands=[{command!r}])")
            case kind, _:
                raise ValueError(f"{name}: no operation for the kind {kind}")
    return "\n".join(lines) + "\n"


def pyinfra_program(cache: Path) -> Path:
    """pyinfra in an environment of its own, made the first time."""
    place = cache / PYINFRA.replace("==", "-")
    program = place / "bin" / "pyinfra"
    if not program.is_file():
        venv.create(place, with_pip=True, clear=True)
        install = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", PYINFRA]
        subprocess.run(install, check=True)
    return program


def resolved(box: Box) -> dict[str, str]:
    """What OpenSSH makes of the host, by option."""
    config = ["-F", box.ssh_config] if box.ssh_config else []
    done = subprocess.run(["ssh", *config, "-G", box.host], check=True, capture_output=True, text=True)
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, value)
    return found
