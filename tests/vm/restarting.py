"""Machines that restart: what is written to their disk stays until they are destroyed."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cache, sshconfig
from tests.lab.process import LabError, run
from tests.lab.wait import until

from . import bootable, host, image, machine
from .command import EMULATION
from .machine import ADDRESS, STOP_TIMEOUT, VirtualMachine
from .states import PLAIN

# On a host that others use too, an emulated boot may take minutes.
BOOT_TIMEOUT = 600.0
PREPARE_TIMEOUT = 600.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass
class Restarting:
    """A machine whose disk outlives its power."""

    machine: VirtualMachine
    made: bootable.Bootable

    @property
    def disk(self) -> Path:
        return self.machine.home / "disk.ext4"

    def prepare(self) -> None:
        """Have GRUB's own menu instead of the one that the disk was made with, and initramfs made quickly: an
        emulated processor packs them as small as Debian does in minutes.
        """
        self.sh(
            "echo COMPRESSLEVEL=1 > /etc/initramfs-tools/conf.d/quick; update-grub", timeout=PREPARE_TIMEOUT
        )

    def boot_id(self) -> str:
        """Which start of the machine this is."""
        return self.machine.ssh("cat", BOOT_ID).stdout.strip()

    def sh(self, script: str, *, check: bool = True, timeout: float = 300.0) -> str:
        """What a script says there."""
        return self.machine.ssh("sh", "-ec", script, check=check, timeout=timeout).stdout.strip()

    def wait_restarted(self, before: str) -> None:
        """Wait until the machine answers from another start than `before`."""

        def answers() -> bool:
            asked = self.machine.ssh("cat", BOOT_ID, check=False)
            return asked.returncode == 0 and asked.stdout.strip() not in ("", before)

        until(answers, BOOT_TIMEOUT, f"{self.machine.name} does not restart", self.machine.said)

    def restart(self) -> None:
        """Restart as a person does, and wait until it answers again."""
        before = self.boot_id()
        self.machine.ssh("systemctl", "reboot", check=False)
        self.wait_restarted(before)

    def cut(self) -> None:
        """Cut the power."""
        os.kill(self.machine.pid, signal.SIGKILL)
        until(self.machine._gone, STOP_TIMEOUT, f"{self.machine.name} does not end")

    def start(self) -> None:
        """Switch it on (again), and wait until it answers."""
        argv = qemu(self.made, self.disk, self.machine.home, self.machine.port)
        log = self.machine.home / "qemu.log"
        pid = machine._spawn(["setpriv", "--pdeathsig", "KILL", *argv], log)
        self.machine = dataclasses.replace(self.machine, pid=pid)
        (self.machine.home / "machine.json").write_text(self.machine.to_json())
        until(
            self.machine.running, STOP_TIMEOUT, f"QEMU did not start {self.machine.name}", self.machine.said
        )
        self.machine.wait_ready(BOOT_TIMEOUT)


def qemu(made: bootable.Bootable, disk: Path, home: Path, port: int) -> list[str]:
    """The whole command line: SeaBIOS, and GRUB, which finds all else on the disk."""
    return [
        "qemu-system-x86_64",
        *("-name", f"provision-vm-{home.name}"),
        *("-nodefaults", "-display", "none"),
        *("-serial", f"file:{home / 'console.log'}"),
        *("-accel", EMULATION),
        *("-M", "q35"),
        *("-cpu", PLAIN),
        *("-smp", "1"),
        *("-m", "2048"),
        # What the machine has written is on this host's disk (or in its memory) when its power is cut.
        *("-drive", f"file={disk},if=none,id=disk,format=raw,cache=writeback"),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", f"user,id=net,hostfwd=tcp:{ADDRESS}:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=net"),
        *("-kernel", str(made.grub)),
    ]


@contextmanager
def up(name: str) -> Iterator[Restarting]:
    """A fresh machine of that name; its power is cut and its disk gone at the end."""
    host.require()
    made = bootable.ensure()
    home = machine._claim(name)
    with cache.lock("vm-ports"):
        taken = {other.port for other in machine.machines()}
        free = (one for one in random.sample(machine.PORTS, 200) if one not in taken and machine._free(one))
        port = next(free)
        bare = VirtualMachine(name, "restarting", port, home, 0)
        (home / "machine.json").write_text(bare.to_json())
    try:
        run(["cp", "--sparse=always", "--reflink=auto", str(made.disk), str(home / "disk.ext4")], timeout=300)
        at = sshconfig.Endpoint(ADDRESS, port, made.login.key, home / "known_hosts")
        at.known_hosts.write_text(sshconfig.known_hosts(ADDRESS, port, [made.login.host_key.read_text()]))
        logins = [person.name for person in image.PEOPLE]
        bare.ssh_config.write_text(sshconfig.render(name, logins, at))
        box = Restarting(bare, made)
        box.start()
        yield box
    finally:
        latest = machine.get(name)
        if latest.running():
            os.kill(latest.pid, signal.SIGKILL)
            until(latest._gone, STOP_TIMEOUT, f"{name} does not end")
        shutil.rmtree(home)


def free_name(wanted: str) -> str:
    """`wanted`, with a number where another run has it."""
    for number in range(100):
        name = wanted if not number else f"{wanted}-{number}"
        if not (cache.root() / "vms" / name).exists():
            return name
    raise LabError(f"too many virtual machines named {wanted}", "python -m tests.vm down --all")
