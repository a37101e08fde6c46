"""The stub packages: their names, versions and dependencies out of the data, and what few of them hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from provisioner.sourced import Sourced
from tests.lab.nvidia.deb import Deb

_DATA = Path(__file__).parent / "data"

# It compiles nothing: the program it makes says what a real one says where no driver is; in WSL, where the
# loader finds a libcuda that Windows lends, what one says that has computed.
NVCC = """\
#!/bin/sh
case " $* " in *" --version "*) echo "Cuda compilation tools, release 12.4, V12.4.131"; exit 0 ;; esac
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
cat > "$out" <<'PROGRAM'
#!/bin/sh
echo proof.runtime=12040
lent=/usr/lib/wsl/lib/libcuda.so.1
known=$(ldconfig -p 2>/dev/null | grep -c " $lent$")
case ":${LD_LIBRARY_PATH:-}:" in *:/usr/lib/wsl/lib:*) known=1 ;; esac
if [ "$known" != 0 ] && grep -q ELF "$lent" 2>/dev/null; then
  echo proof.driver=12080
  echo proof.devices=1
  echo proof.wrong=0
  exit 0
fi
echo proof.driver=0
echo proof.devices=0
echo proof.where=counting devices
echo proof.error=35
echo proof.name=cudaErrorInsufficientDriver
echo proof.text=emulated
exit 3
PROGRAM
chmod 755 "$out"
"""
_LOADER = b"/usr/local/cuda-12/targets/x86_64-linux/lib\n"
_PINNED = b"Package: *nvidia* cuda-drivers* libcuda1\nPin: version 580.*\nPin-Priority: 1000\n"
_FILES: Mapping[str, Mapping[str, bytes]] = {
    "cuda-nvcc-12-4": {"/usr/local/cuda-12.4/bin/nvcc": NVCC.encode()},
    "cuda-cudart-12-4": {"/usr/local/cuda-12.4/lib64/libcudart.so.12": b"emulated\n"},
    "cuda-toolkit-12-4-config-common": {"/etc/ld.so.conf.d/988_cuda-12.conf": _LOADER},
    "nvidia-driver-pinning-580": {"/etc/apt/preferences.d/nvidia-driver-pinning-580": _PINNED},
}
# Ubuntu's has the daemon that keeps cards awake, with its unit.
_UNIT = (
    b"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
    b"[Install]\nWantedBy=multi-user.target\n"
)
_DAEMON = {"/lib/systemd/system/nvidia-persistenced.service": _UNIT}
_SCRIPTS: Mapping[str, Mapping[str, str]] = {
    "cuda-toolkit-12-4-config-common": {
        "postinst": "#!/bin/sh\nset -e\n"
        "update-alternatives --install /usr/local/cuda cuda /usr/local/cuda-12.4 124\n"
        "update-alternatives --install /usr/local/cuda-12 cuda-12 /usr/local/cuda-12.4 124\n",
        "prerm": "#!/bin/sh\nset -e\n"
        "update-alternatives --remove cuda /usr/local/cuda-12.4\n"
        "update-alternatives --remove cuda-12 /usr/local/cuda-12.4\n",
    },
}


class StubSet(Sourced, frozen=True):
    """Packages that come together: name to [version, dependencies]; `plain` are names that need nothing,
    `conflicts` name what cannot be beside them.
    """

    version: str
    packages: dict[str, tuple[str, str]]
    plain: str = ""
    each: dict[int, str] = msgspec.field(default_factory=dict)
    conflicts: dict[str, str] = msgspec.field(default_factory=dict)


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A system that is emulated, and the sets that its repositories have."""

    name: str
    release: str
    os: dict[str, str]
    nvidia: tuple[str, ...]
    archive: tuple[str, ...]
    branches: tuple[int, ...]
    kernel: str = ""
    abi: str = ""
    wsl: str = ""


@cache
def sets() -> Mapping[str, StubSet]:
    """Every set, by its name."""
    return msgspec.convert(_read("stubs"), dict[str, StubSet])


@cache
def systems() -> Mapping[str, System]:
    """Every emulated system, by its name."""
    return {one.name: one for one in msgspec.convert(_read("repositories"), tuple[System, ...])}


def packages(system: System, names: tuple[str, ...]) -> Iterator[Deb]:
    """The packages of some sets, as a system has them."""
    for name in names:
        wanted = sets()[name]
        of_archive = name in system.archive
        versions = {b: v for b, v in wanted.each.items() if not of_archive or b in system.branches}
        for branch, version in versions.items() if wanted.each else [(0, "")]:
            known = {"b": branch, "v": version, "kernel": system.kernel, "abi": system.abi}
            yield from _of(wanted, known)


def _of(wanted: StubSet, known: Mapping[str, Any]) -> Iterator[Deb]:
    listed = {**wanted.packages, **dict.fromkeys(wanted.plain.split(), ("", ""))}
    for name, (version, depends) in listed.items():
        own = name.format_map(known)
        needs = " ".join(depends.format_map(known).split())
        against = wanted.conflicts.get(name, "")
        yield Deb(
            own,
            (version or wanted.version).format_map(known),
            fields={key: text for key, text in (("Depends", needs), ("Conflicts", against)) if text},
            files={f"/usr/share/doc/{own}/copyright": b"emulated\n", **_held(own)},
            scripts=_SCRIPTS.get(own, {}),
        )


def _held(name: str) -> Mapping[str, bytes]:
    return (
        _DAEMON if name.startswith(("nvidia-compute-utils", "nvidia-persistenced")) else _FILES.get(name, {})
    )


def _read(name: str) -> Any:
    return yaml.safe_load((_DATA / f"{name}.yml").read_text("utf-8"))
