"""The stand-in's archive, as apt would read it."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.vm import packages

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Modules as the build leaves them."""
    folder = tmp_path / "built"
    for version in (packages.GOOD, packages.BROKEN):
        (folder / version).mkdir(parents=True)
        for name in ("nvidia.ko", "nvidia-uvm.ko", "libnvidia-ml.so.1"):
            (folder / version / name).write_text(f"{name} {version}")
    return folder


def test_an_archive_has_each_package_where_its_lists_say(built: Path, tmp_path: Path) -> None:
    versions = (packages.GOOD, packages.BROKEN)
    root = tmp_path / "root"
    packages.archive(root, {one: packages.driver(built, "6.12", one) for one in versions})
    dist = root / "debian/dists/trixie"
    release = (dist / "Release").read_text()
    for component in ("main", "contrib", "non-free", "non-free-firmware"):
        folder = dist / component / "binary-amd64"
        plain = (folder / "Packages").read_bytes()
        assert gzip.decompress((folder / "Packages.gz").read_bytes()) == plain
        for name in ("Packages", "Packages.gz"):
            content = (folder / name).read_bytes()
            line = f" {hashlib.sha256(content).hexdigest()} {len(content)} {component}/binary-amd64/{name}\n"
            assert line in release
    stanzas = (dist / "non-free/binary-amd64/Packages").read_text().split("\n\n")
    assert len(stanzas) == 12
    for stanza in stanzas:
        told = dict(line.split(": ", 1) for line in stanza.strip().splitlines())
        content = (root / "debian" / told["Filename"]).read_bytes()
        assert told["SHA256"] == hashlib.sha256(content).hexdigest()


def test_the_modules_lie_where_dkms_puts_them(built: Path, tmp_path: Path) -> None:
    (modules,) = [
        one
        for one in packages.driver(built, "6.12", packages.GOOD, 7)
        if one.name == packages.MODULES_PACKAGE
    ]
    made = packages.write(modules, packages.GOOD, tmp_path, tmp_path / "scratch")
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(made)], capture_output=True, text=True, check=True
    ).stdout
    assert "./usr/lib/modules/6.12/updates/dkms/nvidia.ko" in listed
    script = (tmp_path / "scratch" / packages.MODULES_PACKAGE / "DEBIAN/postinst").read_text()
    assert script == (
        '#!/bin/sh\nset -e\nfor release in /usr/lib/modules/*; do depmod "${release##*/}"; done\nsleep 7\n'
    )


def test_the_stand_in_is_known_by_all_that_decides_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = packages.digest()
    assert packages.digest() == before
    monkeypatch.setattr(packages, "BROKEN", "550.163.03")
    assert packages.digest() != before


def test_it_is_served_on_this_hosts_loopback(tmp_path: Path) -> None:
    (tmp_path / "Release").write_text("here\n")
    with packages.served(tmp_path) as port:
        address = f"http://127.0.0.1:{port}/Release"
        assert urllib.request.urlopen(address).read() == b"here\n"
