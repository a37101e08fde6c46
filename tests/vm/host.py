"""Can this host run virtual machines, and what to install where it cannot."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.lab import host as lab_host
from tests.lab.process import LabError, run

# The Debian packages that bring the commands that are started here.
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "sbsign": "sbsigntool",
    "openssl": "openssl",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
}
# Firmware with Secure Boot, and the owner's key of its example variables.
OVMF = Path("/usr/share/OVMF")
OWNER_KEY = Path("/usr/share/ovmf/PkKek-1-snakeoil.key")
# QEMU's graphics card of a size that can be chosen; its package is its own since Debian 13.
QXL = Path("/usr/lib/x86_64-linux-gnu/qemu/hw-display-qxl.so")
FILES = {
    OVMF / "OVMF_CODE_4M.secboot.fd": "ovmf",
    OVMF / "OVMF_VARS_4M.snakeoil.fd": "ovmf",
    OWNER_KEY: "ovmf",
    QXL: "qemu-system-modules-spice",
}
PREPARE = "python -m tests.vm prepare"


def missing(which: Callable[[str], str | None] = shutil.which) -> dict[str, str]:
    """What is not there, a command or a file, with the package that brings it."""
    commands = {name: package for name, package in PACKAGES.items() if which(name) is None}
    return commands | {str(path): package for path, package in FILES.items() if not path.is_file()}


def obstacles() -> list[str]:
    """Why no virtual machine can run here, each with its remedy; empty when one can. Changes nothing."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return [f"they run on Linux on x86_64, this is {platform.system()} on {platform.machine()}"]
    if os.geteuid() != 0:
        return ["making their disk needs root (mmdebstrap): run it with sudo"]
    return [f"`{name}` is not installed: {PREPARE}" for name in missing()]


def require() -> None:
    """LabError with the first obstacle, when there is one."""
    if found := obstacles():
        raise LabError(found[0])


def prepare(say: Callable[[str], None]) -> None:
    """Install what is missing. Idempotent."""
    if os.geteuid() != 0:
        raise LabError("preparing virtual machines needs root", f"sudo {PREPARE}")
    if lacking := missing():
        say(f"not installed yet: {' '.join(lacking)}")
        run(["apt-get", "update"], timeout=300)
        lab_host.install([name for name in sorted(set(lacking.values())) if lab_host.is_available(name)], say)
    require()
