"""Several lab machines as one site: one inventory's worth of options, and a hub outside of it (emulated)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cli import network
from tests.lab import Machine

HUB_PORT = 18080
ENDPOINT = f"host_base_hub_endpoint=http://127.0.0.1:{HUB_PORT}"
STATE = "/var/lib/provisioner"


@dataclass(frozen=True)
class Site:
    """Machines that one call of the command works on, in this order."""

    machines: Sequence[Machine]
    ssh_config: Path

    def reach(self, *machines: Machine) -> list[str]:
        """The options that lead to these machines, or to all."""
        names = [word for machine in machines or self.machines for word in ("--host", machine.name)]
        return [*names, "--ssh-config", str(self.ssh_config), *network()]


def site(machines: Sequence[Machine], folder: Path) -> Site:
    """The machines behind one OpenSSH configuration, written into `folder`."""
    config = folder / "ssh_config"
    config.write_text("\n".join(machine.ssh_config.read_text() for machine in machines))
    return Site(machines, config)


@contextmanager
def tunnels(machines: Sequence[Machine], url: str) -> Iterator[None]:
    """A server of this host on port HUB_PORT of each machine's own loopback: for them, what is outside."""
    forward = f"{HUB_PORT}:127.0.0.1:{url.rpartition(':')[2]}"
    with ExitStack() as stack:
        for machine in machines:
            argv = [
                "ssh",
                "-F",
                str(machine.ssh_config),
                "-o",
                "ExitOnForwardFailure=yes",
                "-N",
                "-R",
                forward,
            ]
            process = subprocess.Popen([*argv, machine.name], stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        for machine in machines:
            listening = (
                f"for i in $(seq 200); do ss -ltn | grep -q :{HUB_PORT} && exit; sleep .1; done; exit 1"
            )
            machine.run("sh", "-c", listening)
        yield


def gguf(machine: Machine, model: str = "gemma-3-270m-q4_k_m") -> bytes:
    """The real small model that `provision up` has put on a machine."""
    path = f"{STATE}/models/{model}/{model}.gguf"
    done = subprocess.run(["docker", "exec", machine.container, "cat", path], capture_output=True, check=True)
    return done.stdout


def forget_weights(machine: Machine, model: str) -> None:
    """As if a model had never been there."""
    gone = [
        f"{STATE}/models/{model}",
        f"{STATE}/models/.partial-{model}",
        f"{STATE}/receipts/model_weights.json",
    ]
    machine.run("rm", "-rf", *gone)


def progress(machine: Machine, model: str) -> dict[str, Any]:
    """What the weights job of a machine said last; nothing before it has begun."""
    path = f"{STATE}/jobs/weights-{model}/progress.json"
    said = machine.run("cat", path, check=False).stdout
    found: dict[str, Any] = json.loads(said) if said.strip() else {}
    return found
