"""Facts of a box that nobody has looked at, from a description: what was not said stays unknown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioner.compat import knowledge
from provisioner.compat.cards import Card, cards
from provisioner.errors import UsageError
from provisioner.facts import (
    SCHEMA,
    SYSTEM_PLACES,
    Cpu,
    Disk,
    Facts,
    Gpu,
    Memory,
    OperatingSystem,
    Places,
    Python,
    Unknown,
    User,
)
from provisioner.nearest import nearest_hint

HOSTNAME = "described"
NOT_SAID = "not described"
_ARCHES = {"x86_64": "x86_64", "amd64": "x86_64", "x64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtKMGT])(i?)[bB]?")
_DRIVER = re.compile(r"\d{3}\.\d+(\.\d+)?")
_PYTHON = re.compile(r"3\.\d+(\.\d+)?")
_USER_PLACES = Places(
    code="/home/user/.local/share/provisioner/code",
    state="/home/user/.local/share/provisioner/state",
    cache="/home/user/.cache/provisioner",
)


@dataclass(frozen=True)
class _Said:
    """What was said, as the rest of the code has it; None: nothing was."""

    cards: tuple[Card, ...] | None
    system: knowledge.System | None
    arch: str | None
    driver: str | None
    secure_boot: bool | None


def described(
    *,
    gpu: str | None = None,
    os: str | None = None,
    memory: str | int | None = None,
    cores: int | None = None,
    arch: str | None = None,
    driver: str | None = None,
    disk: str | int | None = None,
    secure_boot: bool | None = None,
    python: str | None = None,
    root: bool = True,
    require_gpu: bool = False,
) -> Facts:
    """Facts of a box in words: `gpu` "RTX 4090", "8x H100" or "none"; `os` "ubuntu24.04"; `memory` and
    `disk` (free space) "32GB" or bytes; `driver` "580.65.06" or "none"; `root` whether one may be root there.

    A system brings what it comes with: its glibc, kernel and Python. What was not said is unknown.
    Raises UsageError for a name that nobody knows (with the nearest one), for what is no number, and for two
    options that cannot both be.
    """
    said = _Said(
        cards=None if gpu is None else cards(gpu),
        system=None if os is None else system(os),
        arch=None if arch is None else _arch(arch),
        driver=None if driver is None else _driver(driver),
        secure_boot=secure_boot,
    )
    _agree(said, gpu=gpu, os=os, arch=arch, driver=driver, require_gpu=require_gpu)
    total = None if memory is None else size(memory, "--memory")
    free = None if disk is None else size(disk, "--disk")
    if cores is not None and cores < 1:
        raise UsageError(f"--cores {cores}: a box has at least one", hint="say how many cores it has")
    if python is not None and python != "none" and not _PYTHON.fullmatch(python):
        raise UsageError(f"--python {python}: no version of Python", hint="say it like 3.12, or none")
    places = {"system": SYSTEM_PLACES} if root else {"user": _USER_PLACES}
    return Facts(
        schema=SCHEMA,
        hostname=HOSTNAME,
        os=_operating_system(said),
        python=_interpreter(python, said.system),
        user=User("root", 0, "/root") if root else User("user", 1000, "/home/user"),
        privilege="root" if root else "none",
        cpu=Cpu(cores=cores),
        memory=Memory(total_bytes=total),
        gpus=_gpus(said),
        driver_version=said.driver if said.driver != "none" else None,
        places=places,
        disks={}
        if free is None
        else {
            path: Disk(total_bytes=free, free_bytes=free)
            for place in places.values()
            for path in (place.code, place.state, place.cache)
        },
        unknown=tuple(
            Unknown(what, NOT_SAID)
            for what in _not_said(said, total=total, free=free, cores=cores, python=python)
        ),
    )


def system(text: str) -> knowledge.System:
    """The system of this name. Raises UsageError with the nearest one."""
    wanted = _key(text)
    names: list[str] = []
    for one in knowledge.systems():
        own = (one.name, *one.aliases)
        if wanted in {_key(name) for name in (*own, one.pretty, one.id + one.version_id)}:
            return one
        names += own
    raise UsageError(f"--os {text}: no such system is known", hint=nearest_hint(wanted, names))


def size(text: str | int, option: str) -> int:
    """Bytes of "32GB", "31.2GiB" or a number of bytes. Raises UsageError naming `option`."""
    if isinstance(text, int):
        count = text
    else:
        match = _SIZE.fullmatch(text.strip())
        if match is None and text.strip() != "0":
            raise UsageError(f"{option} {text}: no size", hint=f"say it like {option} 32GB")
        number, prefix, binary = match.groups() if match else ("0", "k", "")
        count = int(float(number) * (1024 if binary else 1000) ** (" kmgt".index(prefix.lower())))
    if count <= 0:
        raise UsageError(
            f"{option} {text}: a box has some", hint=f"say it like {option} 32GB, or leave it out"
        )
    return count


def _agree(
    said: _Said, *, gpu: str | None, os: str | None, arch: str | None, driver: str | None, require_gpu: bool
) -> None:
    """Raises UsageError for two options that no box can have both."""
    if said.cards == () and require_gpu:
        raise UsageError("--gpu none with --require-gpu", hint="leave one of them out")
    if said.cards == () and said.driver not in (None, "none"):
        raise UsageError(f"--gpu none with --driver {driver}", hint="a driver is loaded for a GPU: name it")
    boards = _boards(said)
    if said.arch is not None and boards and said.arch not in boards:
        raise UsageError(
            f"--gpu {gpu} with --arch {arch}: it is on boards of {' and '.join(boards)} only",
            hint="leave --arch out",
        )
    if said.system is None:
        return
    mac = said.system.id == "macos"
    if mac and said.cards:
        raise UsageError(
            f"--os {os} with --gpu {gpu}: macOS has no driver for NVIDIA GPUs", hint="leave one of them out"
        )
    if mac and said.driver not in (None, "none"):
        raise UsageError(
            f"--os {os} with --driver {driver}: macOS has no NVIDIA driver", hint="leave one of them out"
        )
    if said.arch is not None and said.arch not in map(_ARCHES.get, said.system.arches):
        raise UsageError(
            f"--arch {arch} with --os {os}: it is known for {' and '.join(said.system.arches)} only",
            hint="leave --arch out, or name another system",
        )
    if said.system.wsl and said.secure_boot:
        raise UsageError(
            f"--secure-boot with --os {os}: Windows loads the driver, not the Linux below it",
            hint="leave --secure-boot out",
        )


def _operating_system(said: _Said) -> OperatingSystem:
    arch = _known_arch(said) or ""
    entry = said.system
    if entry is None:
        return OperatingSystem(arch=arch, secure_boot=said.secure_boot)
    return OperatingSystem(
        id=entry.id,
        version_id=entry.version_id,
        pretty=entry.pretty,
        kernel=entry.kernel,
        arch=arch,
        libc="glibc" if entry.glibc else "",
        libc_version=entry.glibc or "",
        wsl=entry.wsl,
        secure_boot=said.secure_boot,
    )


def _known_arch(said: _Said) -> str | None:
    """What was said, as its system calls it, or what the GPU's board or the system leaves no choice of."""
    arches = said.system.arches if said.system else ()
    if said.arch is None:
        choice = _boards(said) or arches
        return choice[0] if len(choice) == 1 else None
    return next((name for name in arches if _ARCHES.get(name) == said.arch), said.arch)


def _boards(said: _Said) -> tuple[str, ...]:
    """The architectures of the boards that the GPUs are part of; none for cards that go into any."""
    return next((card.entry.arches for card in said.cards or () if card.entry.arches), ())


def _interpreter(python: str | None, entry: knowledge.System | None) -> Python | None:
    version = python if python is not None else entry.python if entry else None
    return None if version in (None, "none") else Python(version=version, executable="python3")


def _gpus(said: _Said) -> tuple[Gpu, ...]:
    bound = "nvidia" if said.driver not in (None, "none") else None
    return tuple(
        Gpu(
            address=f"0000:{number:02x}:00.0",
            vendor="0x10de",
            device=one.entry.pci[0] if one.entry.pci else "",
            name=one.name,
            memory_bytes=one.memory_bytes,
            driver=bound,
            capability=one.entry.capability,
        )
        for number, one in enumerate(said.cards or (), 1)
    )


def _not_said(
    said: _Said, *, total: int | None, free: int | None, cores: int | None, python: str | None
) -> list[str]:
    mac = said.system is not None and said.system.id == "macos"
    unknown = {
        "os": said.system is None,
        "os.arch": _known_arch(said) is None,
        "os.secure_boot": said.secure_boot is None,
        "python": said.system is None and python is None,
        "cpu": cores is None,
        "memory": total is None,
        "gpus": said.cards is None and not mac,
        "driver_version": said.driver is None and said.cards != () and not mac,
        "disks": free is None,
    }
    return [what for what, missing in unknown.items() if missing]


def _arch(text: str) -> str:
    known = _ARCHES.get(text.strip().lower())
    if known is None:
        raise UsageError(f"--arch {text}: no such architecture", hint=nearest_hint(text, list(_ARCHES)))
    return known


def _driver(text: str) -> str:
    if text == "none" or _DRIVER.fullmatch(text):
        return text
    newest = [one.newest for one in knowledge.branches() if str(one.branch) == text]
    hint = f"say the whole version, such as {newest[0]}" if newest else "say it like 580.65.06, or none"
    raise UsageError(f"--driver {text}: no version of a driver", hint=hint)


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", text.lower())
