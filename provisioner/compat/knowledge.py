"""What is known of GPUs, drivers, CUDA, systems and wheels: data files, each fact with its source.

A new driver branch, GPU or wheel is an entry in `data/`, and no code. Versions are texts ("12.4"), compared
with `version`; memory is in bytes, bandwidth in bytes a second.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from provisioner import sourced
from provisioner.sourced import Entry, Sourced

Flavour = Literal["open", "proprietary"]


class Capability(Sourced, frozen=True):
    """A compute capability ("8.9", in binaries sm_89): the CUDA releases that compile for it."""

    capability: str
    architecture: str
    first_cuda: str
    last_cuda: str | None = None


class Architecture(Sourced, frozen=True):
    """A generation of GPUs: the driver branches and kernel modules that serve it."""

    name: str
    modules: tuple[Flavour, ...]
    first_branch: int
    last_branch: int | None = None


class Gpu(Sourced, frozen=True):
    """A card, or a slice of one. `memory_bytes` is None where it shares the machine's (`unified`).

    `pci` are device ids ("0x2684"); `aliases` other ways to write its name. Bandwidths in bytes a second:
    of its memory, and of its link to the host in one direction. `nvswitch`: eight of them on one board are
    joined by NVSwitch. `first_branch` is the oldest driver branch, where its architecture's first is too old.
    `system_driver`: its driver is part of the system's own image (Jetson), and never installed. `arches`: of
    the boards that have it; () for a card that goes into any. `bar1_bytes`: the largest BAR1 that it can
    show to the host (all of its memory, rounded up to a power of two), None where no log of one is known.
    `load` are kernel modules that its NVSwitch needs beside the driver's own.
    """

    name: str
    capability: str
    memory_bytes: int | None
    aliases: tuple[str, ...] = ()
    pci: tuple[str, ...] = ()
    memory_bandwidth: int | None = None
    link_bandwidth: int | None = None
    nvswitch: bool = False
    unified: bool = False
    arches: tuple[str, ...] = ()
    first_branch: int | None = None
    system_driver: bool = False
    bar1_bytes: int | None = None
    load: tuple[str, ...] = ()


class Branch(Sourced, frozen=True):
    """A driver branch: its newest release known here, and the CUDA release that it knows natively.

    `kernel_before` is the first kernel that its modules do not build for; `ends` the month of its last
    update.
    """

    branch: int
    newest: str
    cuda: str
    long_term: bool = False
    ends: str | None = None
    kernel_before: str | None = None


class Toolkit(Sourced, frozen=True):
    """A CUDA toolkit: `driver` is the oldest that runs all of what it makes, `compatible` the oldest that
    runs it by minor-version compatibility; nvcc accepts gcc up to `gcc_max`. `usual`: where nobody asks
    for another.
    """

    cuda: str
    driver: str
    compatible: str
    gcc_max: int
    usual: bool = False


class System(Sourced, frozen=True):
    """A release of an operating system as it comes: what a described box has, and what it is called.

    `python` is its own interpreter, None where it has none that will do. `kernel` is the newest it ships.
    `ids` are systems of other names that are the same release for all of this (Rocky Linux 9 is RHEL 9);
    `glibc` is None where there is none.
    """

    name: str
    id: str
    version_id: str
    pretty: str
    glibc: str | None
    python: str | None
    kernel: str
    ids: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    arches: tuple[str, ...] = ("x86_64",)
    wsl: bool = False


class ManagedPython(Sourced, frozen=True):
    """An interpreter that uv can bring: "3.12", and the oldest glibc that it runs on."""

    python: str
    glibc: str
    arches: tuple[str, ...] = ("x86_64",)


class MachineKey(Sourced, frozen=True):
    """Where the certificate is of the key that a machine signs kernel modules with; `ids` of systems, and
    without any for all others.
    """

    ids: tuple[str, ...]
    certificate: str


class DriverRoute(Sourced, frozen=True):
    """A way to install a driver on some systems. `signed`: by whom Secure Boot trusts its modules:
    the distribution, a key of the machine's owner that must be enrolled (mok), or nobody. `fabric_manager` is
    the package that NVSwitch needs beside it, of the same version.
    """

    route: str
    systems: tuple[str, ...]
    branches: tuple[int, ...]
    flavours: tuple[Flavour, ...]
    signed: Literal["distribution", "mok", "none"]
    packages: tuple[str, ...]
    version: str | None = None
    arches: tuple[str, ...] = ("x86_64",)
    asked_only: bool = False
    fabric_manager: str | None = None


class ToolkitRoute(Sourced, frozen=True):
    """A way to install a toolkit on some systems; `cudnn` are packages of cuDNN that go with it. `driver`:
    the version whose libraries come with it, so that a driver of another one is out of use afterwards.
    """

    route: str
    systems: tuple[str, ...]
    cuda: tuple[str, ...]
    packages: tuple[str, ...]
    arches: tuple[str, ...] = ("x86_64",)
    compiler: str | None = None
    cudnn: tuple[str, ...] = ()
    driver: str | None = None
    asked_only: bool = False


class Runfile(Sourced, frozen=True):
    """An installer that is one file. `version` is the toolkit's ("12.4") or the driver's, `release` the
    exact one inside; `size` in bytes, 0 where it is not known; `disk` the bytes that it takes beside itself
    while it runs.
    """

    what: Literal["toolkit", "driver"]
    version: str
    release: str
    url: str
    sha256: str
    arch: str = "x86_64"
    size: int = 0
    disk: int = 0

    @property
    def variable(self) -> dict[str, str | int]:
        """What a role's variable of an installer holds."""
        return {"url": self.url, "sha256": self.sha256, "size": self.size, "disk": self.disk}


class SystemSize(Sourced, frozen=True):
    """Bytes that a driver or a toolkit takes by one way of installing it, while it is installed."""

    what: Literal["toolkit", "driver"]
    route: str
    bytes: int


class Wheel(Sourced, frozen=True):
    """A released wheel. `cuda` is the runtime inside, None for one that only uses the CPU.

    `capabilities` are those it has machine code for; "9.0+PTX" can also be compiled, when it is loaded, for
    any newer one; an architecture of `capabilities_by_arch` has others. `driver` is the oldest that runs it
    where that is more than its CUDA needs.
    """

    package: str
    version: str
    python: str
    glibc: str
    cuda: str | None = None
    capabilities: tuple[str, ...] = ()
    capabilities_by_arch: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    arches: tuple[str, ...] = ("x86_64",)
    systems: tuple[Literal["linux", "macos"], ...] = ("linux",)
    driver: str | None = None
    requires: tuple[str, ...] = ()

    def code_for(self, arch: str) -> tuple[str, ...]:
        """The compute capabilities that the wheel for an architecture has code for."""
        return self.capabilities_by_arch.get(arch, self.capabilities)


class Stack(Sourced, frozen=True):
    """Wheels that run a model together. `lock` is the lock file of that environment, where there is one;
    `wheels` are `package==version` of entries in wheels.yml; `ran` says on what it was run, "" for nothing.
    """

    name: str
    runtime: Literal["llama", "transformers", "vllm", "sglang"]
    device: Literal["cpu", "cuda"]
    wheels: tuple[str, ...]
    quantizations: tuple[str, ...]
    lock: str | None = None
    ran: str = ""

    @property
    def environment(self) -> str:
        """What a profile calls it: its lock, or its own name where there is no lock yet."""
        return self.lock or self.name


def version(text: str) -> tuple[int, ...]:
    """A version as numbers, to compare: "550.54.14" → (550, 54, 14)."""
    return tuple(int(part) for part in text.partition("+")[0].split(".") if part.isdigit())


def read(name: str, kind: type[Entry]) -> tuple[Entry, ...]:
    """The entries of data/NAME.yml, as sourced.read has them."""
    return sourced.read("provisioner.compat", name, kind)


def capabilities() -> tuple[Capability, ...]:
    """Every compute capability that is known."""
    return read("capabilities", Capability)


def architectures() -> tuple[Architecture, ...]:
    """Every generation of GPUs that is known."""
    return read("architectures", Architecture)


def gpus() -> tuple[Gpu, ...]:
    """Every card that is known."""
    return read("gpus", Gpu)


def branches() -> tuple[Branch, ...]:
    """Every driver branch that is known, the oldest first."""
    return read("branches", Branch)


def toolkits() -> tuple[Toolkit, ...]:
    """Every CUDA toolkit that is known, the oldest first."""
    return read("toolkits", Toolkit)


def usual_toolkit() -> Toolkit:
    """The toolkit that a box gets where nobody asks for another."""
    return next(toolkit for toolkit in toolkits() if toolkit.usual)


def systems() -> tuple[System, ...]:
    """Every operating system that is known."""
    return read("systems", System)


def pythons() -> tuple[ManagedPython, ...]:
    """Every interpreter that uv can bring, the preferred ones first."""
    return read("pythons", ManagedPython)


def machine_keys() -> tuple[MachineKey, ...]:
    """Where each system keeps the certificate that its own modules are signed by, the general one last."""
    return read("machine_keys", MachineKey)


def driver_routes() -> tuple[DriverRoute, ...]:
    """Every way to install a driver, the preferred ones first."""
    return read("driver_routes", DriverRoute)


def toolkit_routes() -> tuple[ToolkitRoute, ...]:
    """Every way to install a toolkit, the preferred ones first."""
    return read("toolkit_routes", ToolkitRoute)


def runfiles() -> tuple[Runfile, ...]:
    """Every installer of one file that is known."""
    return read("runfiles", Runfile)


def runfile(what: str, number: str, arch: str) -> Runfile | None:
    """The installer of a toolkit or driver version for an architecture (x86_64, aarch64), if one is known."""
    found = (entry for entry in runfiles() if (entry.what, entry.version, entry.arch) == (what, number, arch))
    return next(found, None)


def system_sizes() -> tuple[SystemSize, ...]:
    """What drivers and toolkits take, by each way of installing them."""
    return read("system_sizes", SystemSize)


def wheels() -> tuple[Wheel, ...]:
    """Every wheel that is known."""
    return read("wheels", Wheel)


def stacks() -> tuple[Stack, ...]:
    """Every stack of wheels that is known, the preferred ones first."""
    return read("stacks", Stack)


def stack_of(environment: str) -> Stack | None:
    """The stack that a profile's environment is, None for a lock of the user's own."""
    return next((stack for stack in stacks() if stack.environment == environment), None)
