"""Installs what some unit tests look for and others' machines need not have: a server for SSH, and shells.

`python -m tests.unit.prepare`; with CI=true the tier does so where it can: nothing is left out there.
"""

from __future__ import annotations

import os
import shutil

from tests.lab import host
from tests.lab.process import run

# The Debian packages that bring the programs, all found on the PATH of root.
PACKAGES = {
    "sshd": "openssh-server",
    "busybox": "busybox",
    "zsh": "zsh",
    "ksh": "ksh",
    "mksh": "mksh",
    "fish": "fish",
    "csh": "csh",
    "tcsh": "tcsh",
}


def missing() -> list[str]:
    """The packages of what is not there."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return [package for name, package in PACKAGES.items() if shutil.which(name, path=path) is None]


def possible() -> bool:
    """Can they be installed here?"""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def main() -> None:
    """Idempotent."""
    if wanted := missing():
        run(["apt-get", "update"], timeout=300)
        host.install(wanted, print)


if __name__ == "__main__":
    main()
