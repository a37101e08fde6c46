"""Packages of a few bytes, and a mirror inside a machine that serves them: what they do is up to a test."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.lab import Machine

PORT = 8099
ROOT = "/srv/small"
SOURCE = "/etc/apt/sources.list.d/small.list"
ADDRESS = f"http://127.0.0.1:{PORT}"


class Small(NamedTuple):
    """One package; `fields` such as Depends, `scripts` such as postinst, `files` with their texts."""

    name: str
    version: str
    fields: Mapping[str, str] = {}
    scripts: Mapping[str, str] = {}
    files: Mapping[str, str] = {}
    conffiles: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_all.deb"


def build(package: Small, folder: Path) -> str:
    """The archive in `folder`; its entry in an index."""
    tree = folder / f".{package.name}"
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {
        "Package": package.name, "Version": package.version, "Architecture": "all",
        "Maintainer": "nobody <nobody@localhost>", "Installed-Size": "4", **package.fields,
        "Description": f"small {package.name}",
    }  # fmt: skip
    control = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (tree / "DEBIAN/control").write_text(control)
    if package.conffiles:
        (tree / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in package.conffiles))
    for name, text in package.scripts.items():
        (tree / "DEBIAN" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tree / "DEBIAN" / name).chmod(0o755)
    for name, text in package.files.items():
        (tree / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tree / name.lstrip("/")).write_text(text)
    archive = folder / package.file
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(archive)],
        check=True, capture_output=True,
    )  # fmt: skip
    shutil.rmtree(tree)
    data = archive.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return f"{control}Filename: ./{package.file}\nSize: {len(data)}\nSHA256: {digest}\n"


def offer(machine: Machine, folder: Path, packages: Iterable[Small]) -> None:
    """These, and no others, are what the mirror inside the machine has; apt has not looked yet."""
    folder.mkdir(parents=True)
    index = "\n".join([build(package, folder) for package in packages])
    (folder / "Packages").write_text(index)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    machine.run("sh", "-c", f"rm -rf {ROOT} && mkdir -p {ROOT}")
    machine.run("tar", "-C", ROOT, "-xf", "-", input=packed.getvalue())
    # A list of the same second would pass for this one: HTTP's dates know no less.
    machine.run(
        "sh", "-c", f"rm -f /var/lib/apt/lists/127.0.0.1*; echo 'deb [trusted=yes] {ADDRESS} ./' > {SOURCE}"
    )


def serve(machine: Machine) -> None:
    """The mirror answers from now on."""
    machine.run(
        "systemd-run", "--quiet", "--unit=small-mirror",
        "python3", "-m", "http.server", "--directory", ROOT, "--bind", "127.0.0.1", str(PORT),
    )  # fmt: skip
    ask = f"import urllib.request as u; u.urlopen('{ADDRESS}')"
    wait = f'for i in $(seq 50); do python3 -c "{ask}" 2>/dev/null && exit; sleep 0.1; done; exit 1'
    machine.run("sh", "-c", wait)


def silence(machine: Machine) -> None:
    """The mirror is gone."""
    machine.run("systemctl", "stop", "small-mirror")
