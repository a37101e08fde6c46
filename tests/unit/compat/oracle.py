"""A second, slower reading of the data files: what is wrong with an outcome, and whether any will do.

Nothing of the rules is used: the files are read as plain YAML, versions are compared by `packaging`, and
all outcomes are tried one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from provisioner.compat.decide import Ask
from provisioner.facts import Facts

from .reading import (
    Entry,
    architecture_of,
    capabilities_of,
    capability_entry,
    data,
    gpu_entries,
    locks,
    number,
    on_gpu,
    repository_there,
    system_of,
    toolkit_entry,
    unserved,
    vram,
    wheels_of,
)


@dataclass(frozen=True)
class Driver:
    """`how`: keep, install, none (there is none, and none comes), unknown (nobody could look)."""

    how: str
    version: str | None = None
    branch: int | None = None
    route: str | None = None
    flavour: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What would be on the box in the end; `cuda` is the toolkit's release, None for none."""

    driver: Driver
    cuda: str | None
    cuda_route: str | None
    python: str | None


# --- the parts ---------------------------------------------------------------------------------------


def serves(branch: int, facts: Facts) -> bool:
    """Whether a driver branch knows every GPU there."""
    return not list(_unserved(branch, facts))


def _unserved(branch: int, facts: Facts) -> Iterator[str]:
    for entry, capability in gpu_entries(facts):
        architecture = architecture_of(capability)
        if architecture and branch < architecture["first_branch"]:
            yield f"driver {branch} is older than {architecture['name']}"
        if architecture and branch > architecture.get("last_branch", 10**6):
            yield f"driver {branch} dropped {architecture['name']}"
        if entry and branch < entry.get("first_branch", 0):
            yield f"driver {branch} is older than {entry['name']}"


def driver_wrong(facts: Facts, ask: Ask, driver: Driver) -> Iterator[str]:
    """What is wrong with a driver, whatever stands on it."""
    if driver.how == "install":
        yield from _install_wrong(facts, ask, driver)
        yield from _modules_wrong(facts, driver)
    # Nothing is asked of a driver that there is no use for.
    drives = bool(facts.gpus) or ask.without_gpu
    # On the CPU's route nobody minds a driver that is there.
    matters = on_gpu(ask) or ask.require_gpu or ask.cuda not in (None, "none")
    if driver.version is not None and (driver.how == "install" or matters):
        yield from _unserved(driver.branch or int(driver.version.split(".")[0]), facts)
    if driver.how == "unknown" and matters and drives and not _flavours(facts, ask):
        yield "no kernel modules are such"
    if driver.how == "none" and (on_gpu(ask) or ask.require_gpu or (ask.without_gpu and not facts.gpus)):
        yield "a driver is wanted, and there is none"
    if ask.driver == "keep" and driver.how == "install":
        yield "--branch keep"
    if drives and ask.driver not in (None, "keep") and driver.how != "unknown":
        branch = driver.branch or (int(driver.version.split(".")[0]) if driver.version else 0)
        if str(branch) != ask.driver:
            yield f"--branch {ask.driver}"


def _flavours(facts: Facts, ask: Ask) -> set[str]:
    """The kernel modules that run every GPU there, of those that were asked for."""
    left = {"open", "proprietary"} if ask.modules is None else {str(ask.modules)}
    for _, capability in gpu_entries(facts):
        architecture = architecture_of(capability)
        left &= set(architecture["modules"]) if architecture else left
    return left


def _install_wrong(facts: Facts, ask: Ask, driver: Driver) -> Iterator[str]:
    """Who may not install a driver."""
    never = {
        "a driver in WSL2": facts.os.wsl,
        "a driver in a container": facts.os.container and not (ask.without_gpu and not facts.gpus),
        "a driver on macOS": facts.os.id == "macos",
        "a driver without a GPU": not facts.gpus and not ask.without_gpu,
        "other kernel modules": ask.modules not in (None, driver.flavour),
        "a driver without root": facts.privilege != "root",
        "--route": ask.driver_route not in (None, driver.route),
    }
    yield from (text for text, holds in never.items() if holds)
    for entry, _ in gpu_entries(facts):
        if entry and entry.get("system_driver"):
            yield f"a driver on {entry['name']}, which is part of its system"
    if not any(not one.get("asked_only") or ask.driver_route == one["route"] for one in _ways(facts, driver)):
        yield f"no way {driver.route} to driver {driver.branch} ({driver.flavour})"


def _ways(facts: Facts, driver: Driver) -> list[Entry]:
    system = system_of(facts)
    return [
        one for one in data("driver_routes")
        if one["route"] == driver.route and repository_there(facts, driver.route)
        and system is not None and system["name"] in one["systems"]
        and facts.os.arch in one.get("arches", ("x86_64",)) and driver.branch in one["branches"]
        and driver.flavour in one["flavours"]
    ]  # fmt: skip


def _modules_wrong(facts: Facts, driver: Driver) -> Iterator[str]:
    """Why the kernel, or a GPU, does not take a driver's modules."""
    ways = _ways(facts, driver)
    loads = not facts.os.container
    if loads and facts.os.secure_boot and any(one["signed"] == "none" for one in ways):
        yield "modules that Secure Boot refuses"
    branch: Entry = next((one for one in data("branches") if one["branch"] == driver.branch), {})
    built = any(one["signed"] != "distribution" for one in ways)
    before = branch.get("kernel_before")
    if loads and built and before and facts.os.kernel and number(facts.os.kernel) >= number(before):
        yield f"modules that do not build for kernel {facts.os.kernel}"
    for _, capability in gpu_entries(facts):
        architecture = architecture_of(capability)
        if architecture and driver.flavour not in architecture["modules"]:
            yield f"{driver.flavour} modules on {architecture['name']}"


def toolkit_wrong(facts: Facts, ask: Ask, outcome: Outcome) -> Iterator[str]:
    """What is wrong with a toolkit on a driver."""
    cuda = outcome.cuda
    if ask.cuda == "none" and cuda is not None:
        yield "--cuda none"
    if ask.cuda not in (None, "none") and ask.cuda != cuda:
        yield f"--cuda {ask.cuda}"
    if cuda is None:
        return
    yield from _unknown_gpus(facts, cuda)
    if ask.toolkit_route not in (None, outcome.cuda_route):
        yield f"--route {ask.toolkit_route}"
    system = system_of(facts)
    if not any(
        one["route"] == outcome.cuda_route and repository_there(facts, one["route"])
        and system is not None and system["name"] in one["systems"]
        and facts.os.arch in one.get("arches", ("x86_64",)) and cuda in one["cuda"]
        and (not one.get("asked_only") or ask.toolkit_route == one["route"])
        for one in data("toolkit_routes")
    ):  # fmt: skip
        yield f"no way {outcome.cuda_route} to CUDA {cuda}"
    for one in data("toolkit_routes"):
        mine = one["route"] == outcome.cuda_route and system is not None and system["name"] in one["systems"]
        # What is loaded is not given up for it, unless another driver is asked for.
        here = facts.driver_version if ask.driver is None and facts.driver_version else outcome.driver.version
        other = here is not None and number(here) != number(one.get("driver", "0"))
        if mine and cuda in one["cuda"] and "driver" in one and other:
            yield f"libraries of driver {one['driver']} beside {here}"
    if facts.privilege != "root":
        yield "a toolkit without root"
    if facts.gpus or ask.without_gpu:
        driver = outcome.driver
        if driver.how == "none":
            yield f"CUDA {cuda} without a driver"
        if driver.version is not None and number(driver.version) < number(toolkit_entry(cuda)["driver"]):
            yield f"CUDA {cuda} on driver {driver.version}"


def _unknown_gpus(facts: Facts, cuda: str) -> Iterator[str]:
    for _, capability in gpu_entries(facts):
        known = capability_entry(capability)
        if known and number(cuda) < number(known["first_cuda"]):
            yield f"CUDA {cuda} does not know {capability} yet"
        if known and known.get("last_cuda") and number(cuda) > number(known["last_cuda"]):
            yield f"CUDA {cuda} does not know {capability} any more"


def wheels_wrong(facts: Facts, ask: Ask, outcome: Outcome) -> Iterator[str]:
    """What is wrong with the wheels on this box with this Python and this driver."""
    if outcome.python is not None and outcome.python not in SpecifierSet(ask.profile.environment.python):
        yield f"Python {outcome.python}, and the profile wants {ask.profile.environment.python}"
    yield from _lock_wrong(facts, ask)
    for pinned in wheels_of(ask):
        serving = [one for one in pinned if facts.os.arch in one.get("arches", ("x86_64",))]
        kind = "macos" if facts.os.id == "macos" else "linux"
        serving = [one for one in serving if kind in one.get("systems", ("linux",))]
        if pinned and not serving:
            yield f"no {pinned[0]['package']} for {kind} on {facts.os.arch}"
        for wheel in serving:
            yield from wheel_wrong(facts, ask, wheel, outcome)


def _lock_wrong(facts: Facts, ask: Ask) -> Iterator[str]:
    """The lock was resolved for such a machine."""
    lock = next((one for one in locks() if one["name"] == ask.profile.environment.lock), None)
    arch = facts.os.arch
    place = "macos-arm64" if facts.os.id == "macos" else f"linux-{arch}"
    if lock and arch and place not in [one["platform"] for one in lock["platforms"]]:
        yield f"lock {lock['name']} is not for {place}"


def wheel_wrong(facts: Facts, ask: Ask, wheel: Entry, outcome: Outcome) -> Iterator[str]:
    """What is wrong with one wheel."""
    name, libc = wheel["package"], facts.os.libc_version
    if facts.os.libc == "glibc" and libc and number(libc) < number(wheel["glibc"]):
        yield f"{name} needs glibc {wheel['glibc']}, not {libc}"
    if outcome.python is not None and outcome.python not in SpecifierSet(wheel["python"]):
        yield f"{name} is not for Python {outcome.python}"
    if not on_gpu(ask) or wheel.get("cuda") is None:
        return
    compiled = capabilities_of(wheel, facts.os.arch)
    version = outcome.driver.version
    toolkit = toolkit_entry(wheel["cuda"])
    if version is not None and number(version) < number(wheel.get("driver") or toolkit["compatible"]):
        yield f"{name} with CUDA {wheel['cuda']} on driver {version}"
    for _, capability in gpu_entries(facts):
        if capability is None or not compiled or any(_runs(binary, capability) for binary in compiled):
            continue
        if not any(_compiles(code, capability) for code in compiled):
            yield f"{name} has no code for {capability}"
        elif version is not None and number(version) < number(toolkit["driver"]):
            yield f"{name} has only PTX of CUDA {wheel['cuda']} for {capability}, on driver {version}"


def _runs(binary: str, capability: str) -> bool:
    """Machine code runs on the same major version from its minor on; that with an "a" on just its own."""
    if binary.endswith("a"):
        return binary[:-1] == capability
    (major, minor), (has, small) = _halves(binary.removesuffix("+PTX")), _halves(capability)
    return major == has and minor <= small


def _compiles(code: str, capability: str) -> bool:
    """PTX can be compiled for anything newer, when it is loaded."""
    return code.endswith("+PTX") and _halves(code.removesuffix("+PTX")) <= _halves(capability)


def _halves(capability: str) -> tuple[int, int]:
    major, _, minor = capability.rstrip("f").partition(".")
    return int(major), int(minor)


def system_wrong(facts: Facts) -> Iterator[str]:
    """Why nothing can be done on a system, by this user."""
    root = facts.privilege == "root"
    major = facts.os.version_id.split(".")[0]
    if facts.python is None and "python" not in {one.what for one in facts.unknown} and not root:
        yield "no Python, and nobody may install it"
    if root and any(facts.os.id in one["ids"] and major in one["majors"] for one in unserved()):
        yield f"{facts.os.id} {major} with root"


def minima_wrong(facts: Facts, ask: Ask) -> Iterator[str]:
    """What the box has too little of, whatever is installed."""
    needs = ask.profile.requires
    if facts.cpu.cores is not None and facts.cpu.cores < needs.cores:
        yield f"{facts.cpu.cores} cores"
    memory = facts.memory.total_bytes
    if memory is not None and memory < 0.9 * needs.memory_bytes:
        yield f"{memory} bytes of memory"
    place = facts.places["system" if facts.privilege == "root" else "user"]
    for path, need in ((place.state, needs.disk_bytes), (place.code, needs.disk_bytes // 2)):
        if path in facts.disks and facts.disks[path].free_bytes < need:
            yield f"{facts.disks[path].free_bytes} bytes free"
    if needs.vram_bytes and "gpus" not in {one.what for one in facts.unknown}:
        sizes = list(vram(facts))
        if not sizes or (None not in sizes and max(size or 0 for size in sizes) < needs.vram_bytes):
            yield f"VRAM {sizes}"


def wrong(facts: Facts, ask: Ask, outcome: Outcome) -> list[str]:
    """Everything that is wrong with an outcome."""
    return [
        *driver_wrong(facts, ask, outcome.driver),
        *toolkit_wrong(facts, ask, outcome),
        *wheels_wrong(facts, ask, outcome),
        *minima_wrong(facts, ask),
        *system_wrong(facts),
    ]


# --- all of them -------------------------------------------------------------------------------------


def drivers(facts: Facts, ask: Ask) -> Iterator[Driver]:
    """Every driver there could be in the end."""
    if facts.driver_version is not None:
        yield Driver("keep", facts.driver_version)
    elif "driver_version" in {one.what for one in facts.unknown}:
        # Of a branch that was asked for, the newest release at best; what has no use is not asked for.
        drives = bool(facts.gpus) or ask.without_gpu
        named = [one for one in data("branches") if drives and str(one["branch"]) == ask.driver]
        yield Driver("unknown", named[0]["newest"], named[0]["branch"]) if named else Driver("unknown")
    else:
        yield Driver("none")
    for route in data("driver_routes"):
        for branch in route["branches"]:
            newest = next(one["newest"] for one in data("branches") if one["branch"] == branch)
            for flavour in route["flavours"]:
                yield Driver("install", route.get("version") or newest, branch, route["route"], flavour)


def possible(facts: Facts, ask: Ask, pythons: Iterable[str | None]) -> bool:
    """Whether any outcome has nothing wrong with it."""
    toolkits: list[tuple[str | None, str | None]] = [(None, None)]
    toolkits += [(cuda, one["route"]) for one in data("toolkit_routes") for cuda in one["cuda"]]
    if list(minima_wrong(facts, ask)) or list(system_wrong(facts)):
        return False
    good = [one for one in drivers(facts, ask) if not list(driver_wrong(facts, ask, one))]
    fitting = [pair for pair in dict.fromkeys(toolkits) if pair[0] == ask.cuda or ask.cuda in (None, "none")]
    return any(
        not wrong(facts, ask, Outcome(driver, cuda, route, python))
        for driver in good
        for python in pythons
        for cuda, route in (fitting if ask.cuda not in (None, "none") else [(None, None)])
    )
