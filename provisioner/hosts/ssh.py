"""The OpenSSH client as a transport: the user's own configuration, one shared connection a host."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from provisioner.errors import ProvisionError
from provisioner.hosts.diagnose import diagnose
from provisioner.hosts.errors import Unreachable
from provisioner.hosts.process import Finished, RealRunner, Runner, TimedOut
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access, PipedTransport

PERSIST_SECONDS = 60
_FORGET_SECONDS = 5.0
# sun_path holds 104 bytes on BSD and macOS and 108 on Linux; %C is 40, our prefix 7, and while it opens the
# socket ssh adds a dot and 16 letters.
_FOLDER_BYTES = 104 - 1 - 40 - 7 - 17 - 1


class SshTransport(PipedTransport):
    """Calls entries over `ssh`."""

    def __init__(self, target: Target, access: Access | None = None, runner: Runner | None = None) -> None:
        self._access = access or Access()
        self._own_runner = runner or RealRunner()
        super().__init__(target, _Ssh(target, self._access), self._own_runner, self._access.become_password)

    def forget(self) -> None:
        """End the shared connection, so that the next call makes a new one: after a restart, say."""
        leave = ["ssh", *arguments(self.target, self._access), "-O", "exit", "--"]
        try:
            self._own_runner.run([*leave, self.target.address or self.target.name], timeout=_FORGET_SECONDS)
        except TimedOut:
            # A master that hangs on a dead network ends by itself, by its ServerAliveInterval.
            return


class _Ssh:
    def __init__(self, target: Target, access: Access) -> None:
        self._target = target
        self._access = access

    def argv(self, command: str) -> list[str]:
        address = self._target.address or self._target.name
        return ["ssh", *arguments(self._target, self._access), "-T", "--", address, command]

    def diagnose(self, target: Target, finished: Finished, *, arrived: bool) -> ProvisionError | None:
        return diagnose(target, finished, arrived=arrived)

    def missing(self, name: str) -> ProvisionError:
        return Unreachable(
            f"{name}: the OpenSSH client is not installed on this machine", hint="install openssh-client"
        )


def arguments(target: Target, access: Access) -> list[str]:
    """Everything between `ssh` and the address, for a call of ours."""
    who = [*(["-l", target.user] if target.user else []), *(["-p", str(target.port)] if target.port else [])]
    own = {
        # Nobody sits at this client's terminal; what a configuration has a login do would be in the way.
        "BatchMode": "yes",
        "LogLevel": "ERROR",
        "RemoteCommand": "none",
        "PermitLocalCommand": "no",
        "ForwardX11": "no",
    }
    return [*_options(own), *who, *ssh_common_args(target, access)]


def ssh_common_args(target: Target, access: Access | None = None) -> list[str]:
    """What Ansible needs in ansible_ssh_common_args to use the connection that our calls have opened.

    A target's own arguments come first: of two values, OpenSSH takes the first.
    """
    access = access or Access()
    config = ["-F", access.ssh_config] if access.ssh_config else []
    options = {
        "ConnectTimeout": "10",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ClearAllForwardings": "yes",
    }
    if access.accept_new_host_keys:
        options["StrictHostKeyChecking"] = "accept-new"
    folder = _socket_folder()
    if folder is not None:
        # %C covers host, port and user as resolved; the prefix covers the rest of what makes a connection.
        prefix = hashlib.sha256("\0".join([*config, *target.ssh_args]).encode()).hexdigest()[:6]
        options["ControlMaster"] = "auto"
        options["ControlPersist"] = f"{PERSIST_SECONDS}s"
        options["ControlPath"] = f"{str(folder).replace('%', '%%')}/{prefix}-%C"
    return [*config, *target.ssh_args, *_options(options)]


def _options(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _socket_folder() -> Path | None:
    """A folder that only we can enter, its path short enough for a socket; None: no shared connections."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path(runtime) / "provision"] if runtime else []
    candidates += [Path(top) / f"provision-{os.getuid()}" for top in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    for folder in candidates:
        if len(os.fsencode(folder)) <= _FOLDER_BYTES and _is_private(folder):
            return folder
    return None


def _is_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    # Someone else may have made it first, in a /tmp that everybody can write.
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
