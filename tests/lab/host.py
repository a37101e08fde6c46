"""Can this host run the lab, and what to install where it cannot."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from . import cache, image
from .process import LabError, run
from .wait import until

# The Debian packages that bring the commands the lab starts. On Debian 13 the client is apart.
PACKAGES = {
    "docker": ("docker.io", "docker-cli"),
    "dockerd": ("docker.io",),
    "iptables": ("iptables",),
    "mmdebstrap": ("mmdebstrap",),
    "ssh": ("openssh-client",),
    "ssh-keygen": ("openssh-client",),
    "mkfs.ext4": ("e2fsprogs",),
    "mount": ("mount",),
}
PREPARE = "python -m tests.lab prepare"
DAEMON_TIMEOUT = 180.0


def missing_commands(which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """Commands of PACKAGES that are not on the PATH."""
    return [command for command in PACKAGES if which(command) is None]


def docker_answers() -> bool:
    """Is there a Docker daemon to talk to?"""
    if shutil.which("docker") is None:
        return False
    return run(["docker", "version"], check=False, timeout=60).returncode == 0


def obstacles() -> list[str]:
    """Why the lab cannot run here, each with its remedy; empty when it can. Changes nothing."""
    if platform.system() != "Linux":
        return [f"the lab runs on Linux, this is {platform.system()}"]
    if os.geteuid() != 0:
        return ["the lab needs root (Docker, loop mounts, mmdebstrap): run it with sudo"]
    found = [f"`{command}` is not installed: {PREPARE}" for command in missing_commands()]
    if not found and not docker_answers():
        found.append(f"no Docker daemon answers: {PREPARE}")
    return found


def require() -> None:
    """LabError with the first obstacle, when there is one."""
    if found := obstacles():
        raise LabError(found[0])


def prepare(say: Callable[[str], None], *, rebuild: bool = False) -> None:
    """Install what is missing, start a Docker daemon when none answers, build the images. Idempotent."""
    if os.geteuid() != 0:
        raise LabError("preparing the lab needs root", f"sudo {PREPARE}")
    if missing := missing_commands():
        say(f"not installed yet: {' '.join(missing)}")
        run(["apt-get", "update"], timeout=300)
        install(packages_for(missing), say)
    if not docker_answers():
        say("starting Docker")
        start_docker()
    mirrors = image.configured_mirrors()
    for release in image.RELEASES:
        for without in ((), ("python3",)):
            wanted = image.recipe(release, without, *mirrors)
            if rebuild or not image.has(wanted.tag):
                say(f"building {wanted.tag}" + "".join(f" without {name}" for name in without))
            image.ensure(wanted, rebuild=rebuild)


def packages_for(commands: Iterable[str], available: Callable[[str], bool] | None = None) -> list[str]:
    """The packages that bring these commands, of those that this release has."""
    known = available or is_available
    names = dict.fromkeys(name for command in commands for name in PACKAGES[command])
    return [name for name in names if known(name)]


def install(packages: list[str], say: Callable[[str], None]) -> None:
    """Install Debian packages, asking nothing."""
    say(f"installing {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    run(command, env=environment, timeout=1200)


def start_docker(systemd: Path = Path("/run/systemd/system")) -> None:
    """Start dockerd: by systemd where it runs, else detached from this process, its log in the cache."""
    if systemd.is_dir():
        run(["systemctl", "start", "docker.service"], timeout=DAEMON_TIMEOUT)
        log = "journalctl --unit docker"
    else:
        path = cache.folder() / "dockerd.log"
        with path.open("ab") as output:
            subprocess.Popen(
                ["dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        log = str(path)
    until(docker_answers, DAEMON_TIMEOUT, "Docker did not start", lambda: f"see {log}")


def cgroup_arguments(v2: bool | None = None) -> list[str]:
    """Docker's arguments that let systemd manage its control groups, on this host's version of them."""
    if v2 is None:
        v2 = Path("/sys/fs/cgroup/cgroup.controllers").is_file()
    if v2:
        # The unified tree is writable for systemd only when mounted so, in the host's namespace.
        return ["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    return ["--volume=/sys/fs/cgroup:/sys/fs/cgroup:ro"]


def is_available(package: str) -> bool:
    """Does this release have a package of that name?"""
    return run(["apt-cache", "show", "--no-all-versions", package], check=False).returncode == 0
