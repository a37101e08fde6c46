"""Starting machines, and finding those that run."""

from __future__ import annotations

import io
import random
import re
import socket
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from . import aptcache, image, sshconfig
from . import disk as small_disk
from .cache import folder, lock, root
from .host import cgroup_arguments, require
from .machine import CONTAINER, LABEL, Machine
from .process import CommandError, LabError, run
from .trust import wheel_folder
from .users import User, parse, script

WHEELS = "/srv/wheels"

# Below the kernel's ephemeral ports: while a machine reboots nothing else takes its port by chance.
PORTS = range(22100, 29900)

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")


def up(
    name: str,
    *,
    release: str = "trixie",
    without: Iterable[str] = (),
    users: Iterable[str | User] = (),
    disk: str | None = None,
    memory: str | None = None,
    cache: bool = False,
    wheels: bool = False,
) -> Machine:
    """Start a fresh machine and wait until it has booted and answers SSH.

    `without`: packages its image lacks. `users`: NAME:sudo-nopasswd|sudo-password|no-sudo. `disk`: size of
    the disk that /opt and /var/lib/provisioner share (`300m`). `memory`: its limit (`2g`). `cache`: keep
    downloads between machines. `wheels`: this host's folder of wheels at /srv/wheels, read-only."""
    left_out = tuple(without)
    people = tuple(parse(entry) if isinstance(entry, str) else entry for entry in users)
    if not _NAME.fullmatch(name):
        raise LabError(f"not a host name: {name}", "lower-case letters, digits and hyphens")
    if "sudo" in left_out and any(person.sudo != "no-sudo" for person in people):
        raise LabError(f"{name} would have users with sudo but no sudo", "make them NAME:no-sudo")
    require()
    tag = image.ensure(image.recipe(release, left_out, *image.configured_mirrors()))
    machine = Machine(name, release, 0, _claim(name), people)
    try:
        options = _options(machine, disk, memory, cache=cache, wheels=wheels)
        machine = _start(machine, options, tag)
        machine.wait_ready()
        for person in people:
            machine.run("sh", "-c", script(person), input=f"{person.name}:{machine.password}\n")
    except BaseException:
        machine.destroy()
        raise
    return machine


def get(name: str) -> Machine:
    """The machine of that name."""
    try:
        return Machine.from_json(_state(name).read_text())
    except FileNotFoundError:
        known = ", ".join(machine.name for machine in machines()) or "none"
        raise LabError(f"no machine named {name}", f"there are: {known}") from None


def machines() -> list[Machine]:
    """The machines of this cache folder, by name."""
    return [Machine.from_json(path.read_text()) for path in sorted(root().glob("machines/*/machine.json"))]


def ssh_config() -> Path:
    """One OpenSSH configuration that reaches every machine there is, also those started later."""
    path = folder() / "ssh_config"
    path.write_text(f"Include {sshconfig.quoted(root() / 'machines' / '*' / 'ssh_config')}\n")
    return path


def running() -> dict[str, str]:
    """What Docker says of each container of this cache folder, by machine name."""
    shape = "{{.Names}}\t{{.Status}}"
    found = run(["docker", "ps", "--all", f"--filter=label={LABEL}={root()}", "--format", shape]).stdout
    return dict(line.removeprefix(CONTAINER).split("\t", 1) for line in found.splitlines())


def down(name: str) -> bool:
    """Destroy what there is of a machine, even one whose start was cut short; was there anything?"""
    home = root() / "machines" / name
    if not home.is_dir() and name not in running():
        return False
    state = _state(name)
    machine = Machine.from_json(state.read_text()) if state.is_file() else Machine(name, "", 0, home)
    machine.destroy()
    return True


def everything() -> list[str]:
    """Names of all that `down` can destroy, and nothing that another cache folder's lab made."""
    left = (path.name for path in root().glob("machines/*") if path.is_dir())
    return sorted({*left, *running()})


def _state(name: str) -> Path:
    return root() / "machines" / name / "machine.json"


def _claim(name: str) -> Path:
    shape = f'{{{{.Label "{LABEL}"}}}}'
    named = ["docker", "ps", "--all", f"--filter=name=^/{CONTAINER}{name}$", "--format", shape]
    owner = run(named).stdout.strip()
    if owner and owner != str(root()):
        raise LabError(f"there is a machine named {name}, of the lab in {owner}", "choose another name")
    home = folder("machines") / name
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:
        raise LabError(f"there is a machine named {name}", f"python -m tests.lab down {name}") from None
    return home


def _options(
    machine: Machine, disk: str | None, memory: str | None, *, cache: bool, wheels: bool
) -> list[str]:
    """Docker's arguments for a container that boots like a machine, and for the options asked for."""
    options = [
        f"--name={machine.container}",
        f"--label={LABEL}={root()}",
        f"--hostname={machine.name}",
        "--restart=always",
        # systemd's own signal for a clean shutdown; SIGTERM would only make it re-execute itself.
        "--stop-signal=SIGRTMIN+3",
        # Named one by one: --privileged fails where this host itself lacks a capability.
        "--cap-add=SYS_ADMIN",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--tmpfs=/run",
        "--tmpfs=/run/lock",
        *cgroup_arguments(),
    ]
    if disk:
        small_disk.make(machine.home, disk)
        options += small_disk.volumes(machine.home)
    if memory:
        options += [f"--memory={memory}", f"--memory-swap={memory}"]
    if cache:
        options += aptcache.volumes(machine.home, machine.release)
    if wheels:
        source = wheel_folder()
        if source is None:
            raise LabError("pip has no local folder of wheels here", "set PIP_FIND_LINKS to one")
        options.append(f"--volume={source}:{WHEELS}:ro")
    return options


def _start(machine: Machine, options: list[str], tag: str) -> Machine:
    """Create and start the container on a port of its own, its keys in place before sshd starts."""
    archive, public_keys = _keys(machine)
    with lock("ports"):
        for port in random.sample(_free_ports(), 5):
            machine = replace(machine, port=port)
            publish = f"--publish={machine.address}:{port}:22"
            run(["docker", "create", *options, publish, tag], timeout=180)
            run(["docker", "cp", "-", f"{machine.container}:/"], input=archive, timeout=180)
            started = run(["docker", "start", machine.container], check=False, timeout=180)
            if started.returncode == 0:
                break
            # A lab with another cache folder, or another program, was quicker.
            if "port is already allocated" not in started.stderr and "in use" not in started.stderr:
                raise CommandError(started)
            run(["docker", "rm", "--force", machine.container])
        else:
            raise LabError(f"no port is free for {machine.name}", f"tried 5 of {PORTS.start}-{PORTS.stop}")
        at = sshconfig.Endpoint(machine.address, machine.port, machine.key, machine.known_hosts)
        at.known_hosts.write_text(sshconfig.known_hosts(at.address, at.port, public_keys))
        logins = [person.name for person in machine.users]
        machine.ssh_config.write_text(sshconfig.render(machine.name, logins, at))
        _state(machine.name).write_text(machine.to_json())
    return machine


def _free_ports() -> list[int]:
    taken = {machine.port for machine in machines()}
    return [port for port in random.sample(PORTS, 200) if port not in taken and _can_bind(port)]


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _keys(machine: Machine) -> tuple[bytes, list[str]]:
    """Make the machine's login key and host keys: a tar of what goes inside, and the public host keys.

    Made here rather than by the machine, so that its known_hosts is right before the first connection."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", machine.name, "-f", str(machine.key)])
    buffer = io.BytesIO()
    public_keys: list[str] = []
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _put(tar, "root/.ssh", b"", 0o700, directory=True)
        _put(tar, "root/.ssh/authorized_keys", machine.key.with_suffix(".pub").read_bytes(), 0o600)
        for kind in ("ed25519", "ecdsa", "rsa"):
            path = machine.home / f"ssh_host_{kind}_key"
            public = path.with_suffix(".pub")
            comment = f"root@{machine.name}"
            run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", str(path)], timeout=180)
            _put(tar, f"etc/ssh/{path.name}", path.read_bytes(), 0o600)
            _put(tar, f"etc/ssh/{public.name}", public.read_bytes(), 0o644)
            public_keys.append(public.read_text())
            path.unlink()
            public.unlink()
    return buffer.getvalue(), public_keys


def _put(tar: tarfile.TarFile, name: str, content: bytes, mode: int, *, directory: bool = False) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = mode, len(content)
    if directory:
        entry.type = tarfile.DIRTYPE
    tar.addfile(entry, io.BytesIO(content))
