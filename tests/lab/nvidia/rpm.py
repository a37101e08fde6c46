"""Packages of rpm, as specs: a whole set is built by one `rpmbuild`, in a machine that has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# What depends on what is said here and nowhere else, and files of the build's own have no place in stubs.
_HEAD = """\
%define _binary_payload w1.gzdio
%define debug_package %{{nil}}
%define _build_id_links none
%define __os_install_post %{{nil}}
Name: {name}
Version: 1
Release: 1
Summary: emulated
License: none
AutoReqProv: no
%description
emulated
%install
"""


@dataclass(frozen=True)
class Rpm:
    """A package; `version` is [EPOCH:]VERSION-RELEASE. `post` and `preun` are shell scripts."""

    name: str
    version: str
    needs: tuple[str, ...] = ()
    provides: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    post: str = ""
    preun: str = ""

    @property
    def file(self) -> str:
        """What rpmbuild calls it: the epoch is left out."""
        return f"{self.name}-{self.version.rpartition(':')[2]}.x86_64.rpm"

    @property
    def nevra(self) -> str:
        """As the artefacts of a module are named: with the epoch, be it 0."""
        version = self.version if ":" in self.version else f"0:{self.version}"
        return f"{self.name}-{version}.x86_64"


def spec(name: str, packages: Iterable[Rpm]) -> str:
    """A spec whose own package has nothing in it, and is not built; the rest are packages of it."""
    listed = list(packages)
    written = "".join(_install(path, text) for one in listed for path, text in one.files.items())
    return _HEAD.format(name=name) + written + "".join(map(_package, listed))


def _install(path: str, text: str) -> str:
    return (
        f"mkdir -p %{{buildroot}}{path.rpartition('/')[0]}\n"
        f"cat > %{{buildroot}}{path} <<'EMULATED'\n{text.rstrip().replace('%', '%%')}\nEMULATED\n"
    )


def _package(one: Rpm) -> str:
    epoch, _, rest = one.version.rpartition(":")
    version, _, release = rest.partition("-")
    lines = [f"%package -n {one.name}", f"Version: {version}", f"Release: {release}", "Summary: emulated"]
    lines += [f"Epoch: {epoch}"] if epoch else []
    lines += ["AutoReqProv: no", *(f"Requires: {need}" for need in one.needs)]
    lines += [f"Provides: {one.provides}"] if one.provides else []
    lines += [f"%description -n {one.name}", "emulated"]
    lines += [f"%post -n {one.name}\n{one.post}"] if one.post else []
    lines += [f"%preun -n {one.name}\n{one.preun}"] if one.preun else []
    modes = ((path, "0755" if "/bin/" in path else "0644") for path in one.files)
    lines += [f"%files -n {one.name}", *(f"%attr({mode},root,root) {path}" for path, mode in modes)]
    return "\n".join(lines) + "\n"
