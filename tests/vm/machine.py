"""Starting, finding and ending virtual machines."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import cache, sshconfig
from tests.lab.process import LabError, run
from tests.lab.wait import until

from . import host, image
from .command import qemu, tables
from .firmware import variables
from .states import State, named

BOOT_TIMEOUT = 300.0  # a quarter of a minute on a free core, several where many share it
STOP_TIMEOUT = 60.0
# Below the kernel's ephemeral ports and above the lab's.
PORTS = range(30000, 32700)
ADDRESS = "127.0.0.1"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """A running machine. `ssh -F ssh_config NAME` reaches its root, NAME-USER its users.

    `home` is its folder on this host, with the console's log; nothing that happens inside outlives it.
    """

    name: str
    state: str
    port: int
    home: Path
    pid: int

    @property
    def ssh_config(self) -> Path:
        return self.home / "ssh_config"

    @property
    def console(self) -> Path:
        """What the firmware and the kernel said."""
        return self.home / "console.log"

    def alias(self, user: str = "root") -> str:
        """The Host in `ssh_config` that logs in as this user."""
        return self.name if user == "root" else f"{self.name}-{user}"

    def ssh(
        self, *argv: str, user: str = "root", check: bool = True, timeout: float = 180.0
    ) -> subprocess.CompletedProcess[str]:
        """Run over SSH; the arguments arrive as given."""
        command = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]
        return run([*command, self.alias(user), shlex.join(argv)], check=check, timeout=timeout)

    def running(self) -> bool:
        """Is its process there? Another one that was given its number is not it."""
        try:
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(f"file:{self.console}") in words

    def wait_ready(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until sshd answers; LabError with the end of the console's log when it does not."""

        def answers() -> bool:
            if not self.running():
                raise LabError(f"{self.name} ({self.state}) ended while it booted", self.said())
            return self._banner()

        complaint = f"{self.name} ({self.state}) does not answer at {ADDRESS}:{self.port}"
        until(answers, timeout, complaint, self.said)

    def said(self, lines: int = 40) -> str:
        """The end of the console's log, and what QEMU itself complained of."""
        found = [
            line
            for path in (self.console, self.home / "qemu.log")
            if path.is_file()
            for line in path.read_text(errors="replace").splitlines()[-lines:]
        ]
        return "\n".join("".join(filter(str.isprintable, line)) for line in found)

    def destroy(self) -> None:
        """Cut the power and remove everything of it. Ends well when there is nothing left to remove."""
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
            until(self._gone, STOP_TIMEOUT, f"{self.name} does not end")
        shutil.rmtree(self.home, ignore_errors=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    def to_json(self) -> str:
        """What `from_json` reads; also what `up --json` prints."""
        return json.dumps(asdict(self) | {"home": str(self.home), "ssh_config": str(self.ssh_config)}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> VirtualMachine:
        """A machine as `to_json` wrote it."""
        facts = json.loads(text)
        return cls(facts["name"], facts["state"], facts["port"], Path(facts["home"]), facts["pid"])

    def _banner(self) -> bool:
        # QEMU's own network accepts connections before sshd listens: only the banner shows a server.
        try:
            with socket.create_connection((ADDRESS, self.port), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _gone(self) -> bool:
        """Whether it has ended; our own child is waited for, so that nothing of it stays in the table."""
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        except ChildProcessError:
            return not self.running()


def up(state: State | str, name: str | None = None, *, bound: bool = False) -> VirtualMachine:
    """Boot a machine whose firmware is in this state, and wait until it answers SSH.

    `bound`: it ends with the thread that started it, however that ends; else it stays until `down`.
    """
    wanted = named(state) if isinstance(state, str) else state
    called = name or wanted.name
    if not _NAME.fullmatch(called):
        raise LabError(f"not a host name: {called}", "lower-case letters, digits and hyphens")
    host.require()
    made = image.ensure()
    machine = VirtualMachine(called, wanted.name, 0, _claim(called), 0)
    try:
        machine = _start(machine, wanted, made, bound=bound)
        machine.wait_ready()
    except BaseException:
        machine.destroy()
        raise
    return machine


def get(name: str) -> VirtualMachine:
    """The machine of that name."""
    try:
        return VirtualMachine.from_json(_record(name).read_text())
    except FileNotFoundError:
        known = ", ".join(machine.name for machine in machines()) or "none"
        raise LabError(f"no virtual machine named {name}", f"there are: {known}") from None


def machines() -> list[VirtualMachine]:
    """The machines of this cache folder, by name."""
    paths = sorted(cache.root().glob("vms/*/machine.json"))
    return [VirtualMachine.from_json(path.read_text()) for path in paths]


def down(name: str) -> bool:
    """End a machine, even one whose start was cut short; was there anything?"""
    home = cache.root() / "vms" / name
    if not _NAME.fullmatch(name) or not home.is_dir():
        return False
    record = _record(name)
    machine = get(name) if record.is_file() else VirtualMachine(name, "", 0, home, 0)
    machine.destroy()
    return True


def everything() -> list[str]:
    """Names of all that `down` can end."""
    return sorted(path.name for path in cache.root().glob("vms/*") if path.is_dir())


def _record(name: str) -> Path:
    return cache.root() / "vms" / name / "machine.json"


def _claim(name: str) -> Path:
    home = cache.folder("vms") / name
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:
        raise LabError(
            f"there is a virtual machine named {name}", f"python -m tests.vm down {name}"
        ) from None
    return home


def _start(machine: VirtualMachine, state: State, made: image.Image, *, bound: bool) -> VirtualMachine:
    """Start QEMU on a port of its own. A port that another took in between is said by QEMU's quick end."""
    variables(state.firmware, machine.home)
    for path, content in tables(state, machine.home).items():
        path.write_bytes(content)
    with cache.lock("vm-ports"):
        taken = {other.port for other in machines()}
        port = next(port for port in random.sample(PORTS, 200) if port not in taken and _free(port))
        argv = qemu(state, made, machine.home, port)
        pid = _spawn(["setpriv", "--pdeathsig", "KILL", *argv] if bound else argv, machine.home / "qemu.log")
        machine = VirtualMachine(machine.name, machine.state, port, machine.home, pid)
        _record(machine.name).write_text(machine.to_json())
    at = sshconfig.Endpoint(ADDRESS, port, made.key, machine.home / "known_hosts")
    at.known_hosts.write_text(sshconfig.known_hosts(ADDRESS, port, [made.host_key.read_text()]))
    logins = [person.name for person in image.PEOPLE]
    machine.ssh_config.write_text(sshconfig.render(machine.name, logins, at))
    until(machine.running, STOP_TIMEOUT, f"QEMU did not start {machine.name}", machine.said)
    return machine


def _spawn(argv: Sequence[str], log: Path) -> int:
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    # Known by its number from here on: another process may be the one that ends it.
    process.returncode = 0
    return process.pid


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True
