"""Debian packages that are named as the plan names the driver's, with the stand-in's modules in them, and an
archive that has them. What they show is the way of packages, modules and restarts; nothing of NVIDIA's is in.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab import image as lab_image
from tests.lab.process import run

SOURCES = Path(__file__).parent / "standin"
# As Debian 13 has it; the later one does not start.
GOOD, BROKEN = "550.163.01", "550.163.02"
# Where a machine reaches this host's loopback, by QEMU's user network.
HOST = "10.0.2.2"
BUILDER = ("linux-headers-cloud-amd64", "make", "gcc", "libc6-dev", "kmod")
BUILD = """
set -eu
release=$(ls /lib/modules)
for version in $2 $3; do
  mkdir -p "/build/$version"
  cp /standin/* "/build/$version"
  broken=; [ "$version" = "$3" ] && broken=1
  make -s -C "/lib/modules/$release/build" M="/build/$version" \\
    DRIVER_VERSION="$version" BROKEN=$broken modules >&2
  gcc -shared -fPIC -w -O1 "-DDRIVER_VERSION=\\"$version\\"" -Wl,-soname,libnvidia-ml.so.1 \\
    -o "/build/$version/libnvidia-ml.so.1" /standin/nvml.c
  strip --strip-debug /build/"$version"/*.ko
done
"""
# The card takes the open modules, and the stand-in's say that they are.
MODULES_PACKAGE = "nvidia-open-kernel-dkms"
MODULES = "usr/lib/modules/{release}/updates/dkms"
UNIT = (
    "[Unit]\nDescription=Stands in for NVIDIA's persistence daemon\n"
    "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
    "ExecStart=/bin/test -e /proc/driver/nvidia/version\n[Install]\nWantedBy=multi-user.target\n"
)
DEPMOD = '#!/bin/sh\nset -e\nfor release in /usr/lib/modules/*; do depmod "${{release##*/}}"; done\n{more}'


@dataclass(frozen=True)
class Package:
    """What a package has besides its name: files by their path, and what it asks for."""

    name: str
    depends: str = ""
    files: Mapping[str, Path | str] | None = None
    scripts: Mapping[str, str] | None = None
    section: str = "non-free/kernel"


def digest() -> str:
    """Of everything that decides what the stand-in is."""
    sources = [path.read_bytes() for path in sorted(SOURCES.iterdir())]
    return hashlib.sha256(b"\0".join([*sources, BUILD.encode(), GOOD.encode(), BROKEN.encode()])).hexdigest()


def build(into: Path, scratch: Path) -> str:
    """Build the stand-in for the archive's newest kernel for virtual machines; that kernel's release."""
    archive, security = lab_image.configured_mirrors()
    plain = lab_image.recipe("trixie", (), archive, security)
    wanted = lab_image.Recipe("trixie", BUILDER, plain.sources, hooks=())
    tar, tree = scratch / "builder.tar", scratch / "builder"
    lab_image.bootstrap(wanted, tar)
    tree.mkdir()
    run(["tar", "--directory", str(tree), "--extract", "--file", str(tar)], timeout=300)
    tar.unlink()
    shutil.copytree(SOURCES, tree / "standin")
    run(["chroot", str(tree), "sh", "-c", BUILD, "sh", "", GOOD, BROKEN], timeout=300)
    for version in (GOOD, BROKEN):
        (into / version).mkdir(parents=True)
        for path in [
            *(tree / "build" / version).glob("*.ko"),
            tree / "build" / version / "libnvidia-ml.so.1",
        ]:
            shutil.copy(path, into / version)
    (release,) = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    shutil.rmtree(tree)
    return release


def driver(built: Path, release: str, version: str, slow: int = 0) -> list[Package]:
    """The driver's packages of one version; `slow`: seconds that its modules' package takes to configure."""
    modules = MODULES.format(release=release)
    more = f"sleep {slow}\n" if slow else ""
    exact = f"{version}-1"
    return [
        Package("nvidia-driver", f"{MODULES_PACKAGE} (= {exact}), libnvidia-ml1 (= {exact})"),
        Package(
            MODULES_PACKAGE,
            "firmware-nvidia-gsp",
            {f"{modules}/{name}": built / version / name for name in ("nvidia.ko", "nvidia-uvm.ko")},
            {"postinst": DEPMOD.format(more=more), "postrm": DEPMOD.format(more="")},
        ),
        Package(
            "libnvidia-ml1",
            files={"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": built / version / "libnvidia-ml.so.1"},
        ),
        Package("libcuda1", f"libnvidia-ml1 (= {exact})"),
        Package("nvidia-smi", f"libnvidia-ml1 (= {exact})"),
        Package("nvidia-persistenced", files={"usr/lib/systemd/system/nvidia-persistenced.service": UNIT}),
        Package("firmware-nvidia-gsp", section="non-free-firmware/kernel"),
    ]


def write(package: Package, version: str, pool: Path, scratch: Path) -> Path:
    """Make one .deb."""
    tree = scratch / package.name
    control = [
        f"Package: {package.name}",
        f"Version: {version}-1",
        "Architecture: amd64",
        f"Section: {package.section}",
        "Maintainer: nobody <nobody@example.org>",
        *([f"Depends: {package.depends}"] if package.depends else []),
        f"Description: stands in for {package.name}",
    ]
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("\n".join(control) + "\n")
    for name, text in (package.scripts or {}).items():
        (tree / "DEBIAN" / name).write_text(text)
        (tree / "DEBIAN" / name).chmod(0o755)
    for path, source in (package.files or {}).items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copy(source, target)
        else:
            target.write_text(source)
    made = pool / f"{package.name}_{version}-1_amd64.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(made)], timeout=300)
    return made


def archive(root: Path, versions: Mapping[str, Sequence[Package]]) -> None:
    """An archive at `root`/debian with these packages by their version, laid out as Debian's."""
    pool = root / "debian/pool"
    pool.mkdir(parents=True)
    stanzas: dict[str, list[str]] = {"main": [], "contrib": [], "non-free": [], "non-free-firmware": []}
    for version, wanted in versions.items():
        for package in wanted:
            scratch = root / "scratch" / version
            made = write(package, version, pool, scratch)
            content = made.read_bytes()
            control = (scratch / package.name / "DEBIAN/control").read_text()
            stanzas[package.section.partition("/")[0]].append(
                f"{control}Filename: pool/{made.name}\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
            )
    shutil.rmtree(root / "scratch")
    lines = [
        "Origin: Debian",
        "Suite: stable",
        "Codename: trixie",
        "Architectures: amd64",
        f"Components: {' '.join(stanzas)}",
        "Date: Thu, 01 Jan 2026 00:00:00 UTC",
        "SHA256:",
    ]
    dist = root / "debian/dists/trixie"
    for component, found in stanzas.items():
        for name, content in index("\n".join(found).encode()).items():
            path = dist / component / "binary-amd64" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {path.relative_to(dist)}")
    (dist / "Release").write_text("\n".join(lines) + "\n")


def index(text: bytes) -> dict[str, bytes]:
    """A list of packages, as it is and compressed."""
    return {"Packages": text, "Packages.gz": gzip.compress(text, mtime=0)}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: what was asked is on the machine that asked."""


@contextmanager
def served(root: Path) -> Iterator[int]:
    """Serve what is below `root` on this host's loopback, where machines reach it; the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
