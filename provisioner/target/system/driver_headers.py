"""Which packages bring the headers, and the compiler, that modules for a kernel are built with."""

from __future__ import annotations

import re
from typing import Collection, List, NamedTuple, Optional, Sequence

from ..errors import TargetError

# Where people of each family look for a kernel that has its headers in the archive.
NEWER = {
    "debian": "install the newest kernel (apt-get install linux-image-%s) and restart",
    "ubuntu": "install the newest kernel (apt-get install linux-image-%s) and restart",
    "el": "install the newest kernel (dnf install kernel%s) and restart",
}
OVERRIDE = "name packages in nvidia_driver_headers"
_EL = ("rhel", "centos", "rocky", "almalinux", "ol", "fedora")
# "linux-image-amd64", "linux-image-generic-hwe-22.04", "linux-aws": packages that follow the newest kernel.
_FOLLOWS = re.compile(r"linux-image-(?=[a-z])(?!unsigned-|extra-|uc-)(.+)$")
_FLAVOUR = re.compile(r"(?:^|[-+.])((?:(?:cloud|rt)-)?(?:amd64|arm64|686(?:-pae)?|ppc64el|s390x|riscv64))$")


class Kernel(NamedTuple):
    """A kernel to build for. `headers`: they are there; `gcc`: version of what compiled it, or ""."""

    release: str
    headers: bool
    gcc: str = ""
    running: bool = False


class Needs(NamedTuple):
    """Packages to install before modules are built, and what to do where the archive has them no more."""

    packages: List[str]
    way_out: str = ""


def family(ident: str, like: Sequence[str]) -> Optional[str]:
    """debian, ubuntu or el, by os-release's ID and ID_LIKE; None for a system that none of these is."""
    for name in (ident, *like):
        if name in ("debian", "ubuntu"):
            return name
        if name in _EL:
            return "el"
    return None


def major(version_id: str) -> str:
    """The release that repositories are named by: "9" of "9.4" on EL."""
    return version_id.partition(".")[0]


def needs(kind: Optional[str], kernels: Sequence[Kernel], installed: Collection[str], compiler: str) -> Needs:
    """For these kernels, on a system of that family. `installed`: names of packages that are there;
    `compiler`: the version of the system's gcc ("11.4.0", "12"), "" for none.
    """
    if kind is None:
        missing = [kernel.release for kernel in kernels if not kernel.headers]
        if missing:
            raise TargetError(
                "the headers of kernel %s are missing, and this system's names for them are not known"
                % ", ".join(missing),
                "install them, or " + OVERRIDE,
            )
        return Needs([])
    found: List[str] = []
    for kernel in kernels:
        name = package(kind, kernel.release)
        # Headers that no package brought belong to a kernel of somebody's own, and are complete.
        if not kernel.headers or name.split("=")[0] in installed:
            found.append(name)
        found += compilers(kind, kernel, compiler)
    if found and kind != "el":
        found += followers(installed)
    return Needs(list(dict.fromkeys(found)), way_out(kind, kernels))


def package(kind: str, release: str) -> str:
    """The package of one kernel's headers, `name=version` where the version tells which kernel it is.

    Debian: linux-headers-RELEASE. EL: kernel-devel of the kernel's own version and release; its variants
    (+64k, +rt) have packages of their own.
    """
    if kind != "el":
        return "linux-headers-" + release
    plain, _, variant = release.partition("+")
    version = re.sub(r"\.(x86_64|aarch64|ppc64le|s390x)$", "", plain)
    return "kernel-%sdevel=%s" % (variant + "-" if variant and variant != "debug" else "", version)


def followers(installed: Collection[str]) -> List[str]:
    """Packages that bring the headers of each later kernel too: one for each that brings later kernels."""
    found = []
    for name in sorted(installed):
        match = _FOLLOWS.match(name)
        if match and not re.search(r"-dbg(sym)?$|-\d+\.\d+\.\d+|-template$", name):
            found.append("linux-headers-" + match.group(1))
    return found


def compilers(kind: str, kernel: Kernel, compiler: str) -> List[str]:
    """The compiler of the kernel where the system's own is another one.

    Ubuntu builds the kernels that it brings to an older release with a newer gcc (6.8 on 22.04 with gcc-12,
    where gcc is 11), and their headers do not ask for it. Debian's do (linux-compiler-gcc-…, gcc-…-for-host);
    EL has one gcc.
    """
    wanted, here = kernel.gcc.partition(".")[0], compiler.partition(".")[0]
    return ["gcc-" + wanted] if kind == "ubuntu" and wanted and wanted != here else []


def flavour(release: str) -> str:
    """The kind of kernel: "cloud-amd64" of "6.12.57+deb13-cloud-amd64", "generic" of "6.8.0-45-generic"."""
    match = _FLAVOUR.search(release)
    if match:
        return match.group(1)
    match = re.search(r"-\d+-([a-z][a-z0-9-]*)$", release)
    return match.group(1) if match else ""


def way_out(kind: str, kernels: Sequence[Kernel]) -> str:
    """What to do when the archive has the headers of a kernel no more, or never had them."""
    missing = [kernel for kernel in kernels if not kernel.headers]
    if not missing:
        return ""
    kinds = [flavour(kernel.release) for kernel in missing]
    newer = NEWER[kind] % ("" if kind == "el" else (kinds[0] or ("generic" if kind == "ubuntu" else "amd64")))
    return "%s, then run again; or %s" % (newer, OVERRIDE)
