"""A throw-away sshd on loopback, and entries of the tests' own to send."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioner.hosts import bundle
from provisioner.hosts.ssh import SshTransport
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@dataclass
class Sshd:
    """A running server; `access` is the client configuration that gets in."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def target(self) -> Target:
        return Target("box", "box")

    @property
    def access(self) -> Access:
        return Access(ssh_config=str(self.folder / "client.conf"))

    def transport(self) -> SshTransport:
        return SshTransport(self.target, self.access)

    def know(self, key: str | None) -> None:
        """Make `key` (the server's own, unless another is given) the one on record; None: forget it."""
        text = "" if key is None else f"[127.0.0.1]:{self.port} {key}\n"
        (self.folder / "known_hosts").write_text(text)

    def hang_up(self) -> None:
        """Kill the server's processes of every connection; what these have started goes on.

        A login that is not root's has two: the listener's child only watches over its own child, which holds
        the socket and survives it.
        """
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                head, _, tail = stat.read_text().rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            # sshd-session and sshd-auth since OpenSSH 9.8
            if head.partition("(")[2].startswith("sshd"):
                children.setdefault(int(tail.split()[1]), []).append(int(stat.parent.name))
        waiting = children.get(self.process.pid, [])
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            with contextlib.suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, signal.SIGKILL)


def make_key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().rsplit(" ", 1)[0]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the sockets of shared connections go: pytest's own folders are too deep for a socket."""
    folder = tempfile.mkdtemp(prefix="pv", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    yield Path(folder)
    for path in Path(folder).glob("provision/*-*"):
        subprocess.run(
            ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "any"], capture_output=True, check=False
        )
    shutil.rmtree(folder)


@pytest.fixture
def make_sshd(tmp_path: Path, short_folder: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers that let the present user in; `more` is further server configuration."""
    if SSHD is None:
        reason = "no sshd: install openssh-server"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    started: list[Sshd] = []

    def start(more: str = "") -> Sshd:
        folder = tmp_path / f"sshd{len(started)}"
        folder.mkdir(mode=0o700)
        port = free_port()
        host_key = make_key(folder / "host")
        (folder / "authorized_keys").write_text(make_key(folder / "user") + "\n")
        (folder / "server.conf").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\n{more}\n"
        )
        (folder / "client.conf").write_text(
            f"Host box\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        )
        log = (folder / "log").open("wb")
        with log:
            process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", folder / "server.conf"], stderr=log)
        sshd = Sshd(folder, port, process)
        started.append(sshd)
        sshd.know(host_key)
        _wait_for(sshd)
        return sshd

    yield start
    for sshd in started:
        sshd.hang_up()
        sshd.process.kill()
        sshd.process.wait()


def _wait_for(sshd: Sshd) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sshd.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", sshd.port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    pytest.fail(f"sshd did not start: {(sshd.folder / 'log').read_text()}")


@pytest.fixture
def sshd(make_sshd: Callable[..., Sshd]) -> Sshd:
    return make_sshd()


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], Path]]:
    """Replaces provisioner/target by files of the test's own (the loader and the errors stay)."""
    real = bundle._root()
    caches = (bundle.loader, bundle._modules, bundle._is_package, bundle._exists)

    def write(files: dict[str, str]) -> Path:
        root = tmp_path / "target"
        root.mkdir()
        for name in ("__init__.py", "loader.py", "errors.py"):
            (root / name).write_text(real.joinpath(name).read_text("utf-8"))
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(bundle, "_root", lambda: root)
        for cache in caches:
            cache.cache_clear()
        return root

    yield write
    for cache in caches:
        cache.cache_clear()
