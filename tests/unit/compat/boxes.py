"""Any machine and any request: the whole space that the plan has to answer for, as hypothesis strategies.

A box is made of what the data know (systems, cards, drivers) and of what they do not (a card of no known
id, another kernel or glibc than the system came with), and of what could not be read.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import strategies as st

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.compat.decide import Ask
from provisioner.compat.wanted import driver_ways, toolkit_ways
from provisioner.facts import (
    SCHEMA,
    SYSTEM_PLACES,
    Cpu,
    Disk,
    Facts,
    Gpu,
    Memory,
    OperatingSystem,
    Python,
    Unknown,
    User,
)
from provisioner.profiles import Environment, Profile

KERNELS = ("3.10.0-1160.el7.x86_64", "5.15.0-119-generic", "6.8.0-45-generic", "6.17.0-5-generic", "7.2.0")
GLIBCS = ("2.17", "2.27", "2.28", "2.31", "2.35", "2.41")
PYTHONS = ("3.6.8", "3.8.10", "3.9.21", "3.10.12", "3.11.2", "3.12.3", "3.13.5", "3.14.0")
# Between the branches' newest releases, and below and above all that is known.
DRIVERS = ("390.157", "450.80.02", "525.60.13", "535.54.03", "550.54.14", "580.65.06", "700.10")
GIB = 1 << 30
MEMORIES = (2 * GIB, 8 * GIB, 15 * GIB, 31 * GIB, 64 * GIB, 512 * GIB)
STRANGER = knowledge.System(
    name="", id="void", version_id="", pretty="Void Linux", glibc="2.39", python="3.12", kernel="6.12",
    arches=("x86_64", "aarch64"), source="nobody", confidence="unconfirmed",
)  # fmt: skip


@cache
def every_profile() -> tuple[Profile, ...]:
    """Those that come with the tool, and one for each stack of wheels that none of them has."""
    own = [profiles.load(name) for name in profiles.names()]
    taken = {profile.environment.lock for profile in own}
    base = next(profile for profile in own if profile.name == profiles.DEFAULT_WITH_GPU)
    for stack in knowledge.stacks():
        if stack.lock is not None and stack.lock not in taken:
            cpu = replace(base.requires, vram_bytes=0, driver="")
            needs = base.requires if stack.device == "cuda" else cpu
            environment = Environment(lock=stack.lock, python=">=3.10")
            own.append(replace(base, name=stack.name, environment=environment, requires=needs))
    return tuple(own)


@st.composite
def cards(draw: st.DrawFn, least: int = 0, most: int = 3) -> tuple[Gpu, ...]:
    """GPUs of the same or of different models, each with what NVML says of it, or only its PCI id."""
    models: st.SearchStrategy[knowledge.Gpu] = st.sampled_from(knowledge.gpus())
    known: list[knowledge.Gpu] = draw(st.lists(models, min_size=least, max_size=most))
    same = draw(st.booleans())
    known = [known[0] for _ in known] if same else known
    loaded = draw(st.booleans())
    found = [
        Gpu(
            address=f"0000:{number:02x}:00.0", vendor="0x10de", device=one.pci[0] if one.pci else "",
            name=f"NVIDIA {one.name}" if loaded or not one.pci else None,
            memory_bytes=one.memory_bytes if loaded else None,
            capability=one.capability if loaded else None,
        )
        for number, one in enumerate(known, 1)
    ]  # fmt: skip
    if draw(st.integers(0, 9)) == 0:
        found.append(Gpu(address="0000:7f:00.0", vendor="0x10de", device="0xffff"))
    return tuple(found)


@st.composite
def boxes(draw: st.DrawFn, able: bool = False) -> Facts:
    """One machine; `able` ones have a GPU, enough of everything else, and somebody who is root."""
    entry = draw(st.sampled_from((*knowledge.systems(), STRANGER)))
    mac = entry.id == "macos"
    gpus: tuple[Gpu, ...] = () if mac else draw(cards(least=1 if able else 0))
    usual = able or draw(st.integers(0, 2)) > 0
    drivers = (*DRIVERS, *(one.newest for one in knowledge.branches()))
    driver = draw(st.none() | st.sampled_from(drivers)) if gpus else None
    python = draw(st.none() | st.sampled_from(PYTHONS)) if not usual else entry.python
    unknown = set()
    if not gpus and not mac and draw(st.integers(0, 9)) == 0:
        unknown |= {"gpus", "driver_version"}
    if gpus and driver is None and draw(st.integers(0, 4)) == 0:
        unknown.add("driver_version")
    if python is None and draw(st.booleans()):
        unknown.add("python")
    roomy = able or draw(st.integers(0, 3)) > 0
    memory = draw(st.none() | st.sampled_from(MEMORIES[-1:] if roomy else MEMORIES))
    cores = draw(st.sampled_from((None, 64) if roomy else (None, 1, 2, 4, 64)))
    free = draw(st.sampled_from((None, 1000 * GIB) if roomy else (None, GIB, 40 * GIB, 1000 * GIB)))
    read = {"memory": memory, "cpu": cores, "disks": free}
    unknown |= {what for what, value in read.items() if value is None}
    secure_boot = False if mac or entry.wsl else draw(st.sampled_from((None, False, True)))
    if secure_boot is None:
        unknown.add("os.secure_boot")
    root = able or draw(st.integers(0, 3)) > 0
    return Facts(
        schema=SCHEMA,
        hostname="any",
        os=OperatingSystem(
            id=entry.id, version_id=entry.version_id, pretty=entry.pretty,
            kernel=entry.kernel if usual else draw(st.sampled_from(KERNELS)),
            arch=draw(st.sampled_from(entry.arches)),
            libc="glibc" if entry.glibc else "",
            libc_version=(entry.glibc if usual else draw(st.sampled_from(GLIBCS))) if entry.glibc else "",
            wsl=entry.wsl,
            container=draw(st.sampled_from((None, None, None, "docker"))) if not mac and not able else None,
            secure_boot=secure_boot,
        ),
        python=None if python is None else Python(python, "/usr/bin/python3"),
        user=User("root", 0, "/root") if root else User("ada", 1000, "/home/ada"),
        privilege="root" if root else "none",
        cpu=Cpu(cores=cores),
        memory=Memory(total_bytes=memory, available_bytes=memory),
        gpus=gpus,
        driver_version=driver,
        places={"system": SYSTEM_PLACES, "user": SYSTEM_PLACES},
        disks={} if free is None else {
            path: Disk(total_bytes=2 * free, free_bytes=free)
            for path in (SYSTEM_PLACES.code, SYSTEM_PLACES.state, SYSTEM_PLACES.cache)
        },
        unknown=tuple(Unknown(what, "not readable") for what in sorted(unknown)),
    )  # fmt: skip


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """One request. Most say nothing but a profile, as most people do."""
    profile = draw(st.sampled_from(every_profile()))
    if profile.requires.vram_bytes and draw(st.booleans()):
        # A smaller model in the same environment: more cards are large enough.
        profile = replace(profile, requires=replace(profile.requires, vram_bytes=2_000_000_000))
    if draw(st.integers(0, 2)):
        return Ask(profile)
    drivers, kits = sorted(driver_ways()), sorted(toolkit_ways())
    # --route says it of both, the variables each of its own.
    way, apart = draw(st.sampled_from((None, None, None, *drivers, *kits))), draw(st.booleans())
    same = (way if way in drivers else None, way if way in kits else None)
    branches = [str(one.branch) for one in knowledge.branches()]
    return Ask(
        profile,
        cuda=draw(st.sampled_from((None, None, "none", *(one.cuda for one in knowledge.toolkits())))),
        driver=draw(st.sampled_from((None, None, "keep", *branches))),
        require_gpu=draw(st.booleans()),
        upgrade=draw(st.booleans()),
        driver_route=draw(st.sampled_from((None, None, *drivers))) if apart else same[0],
        toolkit_route=draw(st.sampled_from((None, None, *kits))) if apart else same[1],
        modules=draw(st.sampled_from((None, None, None, "open", "proprietary"))),
        without_gpu=draw(st.sampled_from((False, False, True))),
    )
