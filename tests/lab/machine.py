"""One running machine, and what a test may do to it."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import CompletedProcess
from types import TracebackType
from typing import Self

from . import disk
from .aptcache import harvest
from .process import LabError, run
from .users import PASSWORD, User
from .wait import until

CONTAINER = "provision-lab-"
LABEL = "provision-lab.cache"  # its value is the cache folder of the lab that made the container
BOOT_TIMEOUT = 180.0  # seconds on a free core; many machines share two

# Every process of sshd but the listener. OpenSSH 9.8 and later name them sshd-session and sshd-auth.
_CUT = r"""
listener=$(systemctl show --property=MainPID --value ssh.service)
for comm in /proc/[0-9]*/comm; do
  pid=${comm#/proc/}; pid=${pid%/comm}
  read -r name 2>/dev/null <"$comm" || continue
  case $name in sshd*)
    if [ "$pid" != "$listener" ] && kill -KILL "$pid" 2>/dev/null; then echo "$pid"; fi ;;
  esac
done
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the lab. `ssh -F ssh_config NAME` reaches its root, NAME-USER its users.

    `home` is its folder on this host; `password` is what users with sudo-password type."""

    name: str
    release: str
    port: int
    home: Path
    users: tuple[User, ...] = ()
    address: str = "127.0.0.1"
    password: str = PASSWORD

    @property
    def container(self) -> str:
        return CONTAINER + self.name

    @property
    def ssh_config(self) -> Path:
        return self.home / "ssh_config"

    @property
    def key(self) -> Path:
        return self.home / "key"

    @property
    def known_hosts(self) -> Path:
        return self.home / "known_hosts"

    def alias(self, user: str = "root") -> str:
        """The Host in `ssh_config` that logs in as this user."""
        return self.name if user == "root" else f"{self.name}-{user}"

    def run(
        self,
        *argv: str,
        user: str | None = None,
        input: str | bytes | None = None,  # noqa: A002
        check: bool = True,
        timeout: float = 600.0,
    ) -> CompletedProcess[str]:
        """Run inside without SSH, as root unless `user` says otherwise: for breaking things in tests."""
        command = ["docker", "exec", "--interactive"]
        if user:
            command.append(f"--user={user}")
        return run([*command, self.container, *argv], input=input, check=check, timeout=timeout)

    def ssh(
        self,
        *argv: str,
        user: str = "root",
        input: str | bytes | None = None,  # noqa: A002
        check: bool = True,
        timeout: float = 600.0,
    ) -> CompletedProcess[str]:
        """Run over SSH, the user's own path. The arguments arrive as given: ssh's joining is quoted for."""
        command = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        command += [self.alias(user), shlex.join(argv)]
        return run(command, input=input, check=check, timeout=timeout)

    def boot_stamp(self) -> str:
        """A text that changes with each boot. (The boot id is the host kernel's and does not.)"""
        show = ["systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value"]
        return self.run(*show, timeout=60).stdout.strip()

    def restart(self, *, hard: bool = False) -> None:
        """Reboot and wait until SSH answers; `hard` cuts the power instead of shutting down."""
        disk.attach(self.home)
        if hard:
            # `docker kill` counts as a manual stop, which the restart policy leaves alone.
            run(["docker", "kill", self.container])
            run(["docker", "start", self.container], timeout=BOOT_TIMEOUT)
        else:
            run(["docker", "restart", "--time=20", self.container], timeout=BOOT_TIMEOUT)
        self.wait_ready()

    def wait_rebooted(self, stamp: str, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until the machine came back from a reboot of its own; `stamp` is the boot_stamp before it."""

        def came_back() -> bool:
            try:
                return self.boot_stamp() not in ("", "0", stamp)
            except LabError:  # down, going down, or systemd does not answer yet
                return False

        until(came_back, timeout, f"{self.name} did not reboot")
        self.wait_ready(timeout)

    def wait_ready(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until systemd has booted with no failed unit and sshd answers."""
        until(self._booted, timeout, f"{self.name} did not boot", self._journal)
        failed = self.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").stdout.split("\n")
        if names := [line.split()[0] for line in failed if line.strip()]:
            raise LabError(f"{self.name} booted with failed units: {', '.join(names)}", self._journal())
        place = f"{self.address}:{self.port}"
        until(self._ssh_banner, timeout, f"no SSH server answers at {place}", self._journal)

    def cut_ssh(self) -> int:
        """Drop every established SSH connection, as a network would; how many processes that took.

        What the sessions had started lives on, without its connection."""
        return len(self.run("sh", "-c", _CUT).stdout.split())

    def pause(self) -> None:
        """Freeze every process: connections stay open and nothing answers."""
        run(["docker", "pause", self.container])

    def unpause(self) -> None:
        """Undo `pause`."""
        run(["docker", "unpause", self.container])

    def destroy(self) -> None:
        """Remove the machine and everything of it; what it downloaded stays when it had the cache.

        Ends well when there is nothing left to remove."""
        # By its label too: a machine of another cache folder may have this name, and is not ours to remove.
        ours = [f"--filter=name=^/{self.container}$", f"--filter=label={LABEL}={self.home.parent.parent}"]
        for container in run(["docker", "ps", "--all", "--quiet", *ours], timeout=180).stdout.split():
            run(["docker", "rm", "--force", "--volumes", container], timeout=180)
        if self.release:
            harvest(self.home, self.release)
        disk.detach(self.home)
        if self.home.is_dir():
            shutil.rmtree(self.home)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    def to_json(self) -> str:
        """What `from_json` reads; also what `up --json` prints."""
        paths = {name: str(getattr(self, name)) for name in ("home", "ssh_config", "key", "known_hosts")}
        return json.dumps(asdict(self) | paths | {"container": self.container}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Machine:
        """A machine as `to_json` wrote it."""
        facts = json.loads(text)
        users = tuple(User(**user) for user in facts["users"])
        plain = {field: facts[field] for field in ("name", "release", "port", "address", "password")}
        return cls(home=Path(facts["home"]), users=users, **plain)

    def _booted(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False, timeout=120).stdout.strip()
        return state in ("running", "degraded")

    def _ssh_banner(self) -> bool:
        # Docker's proxy accepts connections before sshd listens: only the banner shows a server.
        try:
            with socket.create_connection((self.address, self.port), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _journal(self) -> str:
        show = ("journalctl", "--no-pager", "--lines=20", "--priority=warning")
        log = self.run(*show, check=False, timeout=120)
        return log.stdout + log.stderr
