"""A lab machine that presents itself as another system, and knows the emulated archive of that system."""

from __future__ import annotations

import base64
import textwrap

from tests.lab import Machine
from tests.lab.nvidia.repository import archive_path
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import System

_ARCHIVE_KEY = "/etc/apt/keyrings/emulated-archive.gpg"

# What another system left: the names, and what WSL shows.
_AS_ITSELF = """\
ln -sfn ../usr/lib/os-release /etc/os-release
rm -f /etc/lsb-release /dev/dxg
umount /proc/sys/kernel/osrelease 2>/dev/null || true
rm -rf /etc/emulated-osrelease /usr/lib/wsl /var/lib/apt/lists/127.0.0.1*
"""


def present(machine: Machine, system: System, base: str, key: SigningKey, *, alone: bool = False) -> None:
    """Make the machine look like the system; `base` is the server's address as the machine reaches it.

    `alone`: of Debian's own archive it knows nothing any more. It may have looked like another system before.
    """
    machine.run("sh", "-ec", _AS_ITSELF)
    if alone:
        machine.run("rm", "-f", "/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
    if system.os:
        release = "".join(f'{name}="{value}"\n' for name, value in system.os.items())
        _write(machine, "/etc/os-release", release)
        number, codename = system.os["VERSION_ID"], system.os["VERSION_CODENAME"]
        _write(
            machine,
            "/etc/lsb-release",
            f"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE={number}\nDISTRIB_CODENAME={codename}\n"
            f'DISTRIB_DESCRIPTION="{system.os["PRETTY_NAME"]}"\n',
        )
    if system.archive:
        _write(machine, _ARCHIVE_KEY, key.public)
        _write(
            machine,
            "/etc/apt/sources.list.d/emulated-archive.sources",
            f"Types: deb\nURIs: {base}{archive_path(system)}\nSuites: /\nSigned-By: {_ARCHIVE_KEY}\n",
        )
    if system.wsl:
        _as_wsl(machine, system.wsl)


def _as_wsl(machine: Machine, kernel: str) -> None:
    """Microsoft's kernel by name, its GPU device, and the driver's libraries that Windows would provide."""
    _write(machine, "/etc/emulated-osrelease", kernel + "\n")
    machine.run(
        "sh",
        "-ec",
        textwrap.dedent("""\
            mount --bind /etc/emulated-osrelease /proc/sys/kernel/osrelease
            : > /dev/dxg
            mkdir -p /usr/lib/wsl/lib
            for name in libcuda.so.1 libcuda.so libnvidia-ml.so.1 nvidia-smi; do
                echo windows > /usr/lib/wsl/lib/$name
            done
            """),
    )


def _write(machine: Machine, path: str, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    script = 'mkdir -p "${1%/*}" && rm -f "$1" && base64 -d > "$1" && chmod 644 "$1"'
    machine.run("sh", "-ec", script, "write", path, input=base64.b64encode(data))
