"""The NVIDIA driver that is here already, what stands in its way, and who uses the GPUs now."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.audit import DriverSource, Reading
from provisioner.preflight.commands import commands
from provisioner.preflight.finding import Evidence, Remedy
from provisioner.preflight.remedies import by_hand, kernel_option
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import CONTAINER, inapplicable
from provisioner.preflight.words import listed, several

_WAYS = {
    "distribution": "the distribution",
    "nvidia-repository": "NVIDIA's package repository",
    "other-repository": "another package repository",
    "runfile": "NVIDIA's installer, past the package manager",
    "wsl": "Windows",
    "container": "the machine that runs this container",
}
# What draws the screen, and takes a few hundred megabytes of a GPU.
_DISPLAY = (
    "Xorg", "Xwayland", "gnome-shell", "kwin_wayland", "kwin_x11", "plasmashell", "gdm-x-session",
    "sddm-greeter", "mutter", "sway", "Hyprland", "weston", "cinnamon", "xfwm4", "systemd-logind",
)  # fmt: skip
# What belongs to the driver and has each GPU open for as long as the machine runs; a process has the first
# 15 letters of its name (proc(5), comm).
_OF_DRIVER = (
    "nvidia-persiste", "nvidia-powerd", "nv-fabricmanage", "nv-hostengine", "nvidia-imex", "nvsm_core",
    "dcgm-exporter",
)  # fmt: skip
_LENT, _LOADER = "/usr/lib/wsl/lib", "/etc/ld.so.cache"
_OF_WINDOWS = f"Windows brings the driver and its libraries: look there, or with {_LENT}/nvidia-smi"


def source(case: Case) -> Iterator[Verdict]:
    """How the driver came here: two ways at once break each other, and packages refuse what is not theirs."""
    reading = case.audit.software.driver_sources
    if not case.facts.gpus and not reading.value:
        return
    if reading.value is None:
        yield cannot(reading, "How the NVIDIA driver came here")
        return
    sources = reading.value
    ways = tuple(dict.fromkeys(one.way for one in sources))
    here = listed([_WAYS.get(way, way) for way in ways])
    evidence = tuple(Evidence(reading.source, f"{one.way}: {one.evidence}") for one in sources)
    # What a container's toolkit laid in comes from Windows too.
    foreign = [one for one in sources if one.way not in ("wsl", "container")]
    if not sources:
        yield good("No NVIDIA driver is installed", "none", evidence=(seen(reading, "none"),))
    elif case.facts.os.wsl and foreign:
        yield bad(
            "A Linux driver is installed in WSL, where it hides the one that Windows lends",
            here,
            "the driver of Windows only",
            weight="fail" if case.needs.gpu else "high",
            evidence=evidence,
            remedy=_taken_away(foreign, wsl=True),
        )
    elif len(ways) > 1 and foreign:
        yield bad(
            f"The NVIDIA driver came here by {several(len(ways), 'way')} at once: {here}",
            here,
            "one way",
            weight="fail" if case.needs.driver else "high",
            evidence=evidence,
            remedy=_taken_away(foreign[1:] if "runfile" not in ways else _of(sources, "runfile")),
        )
    elif ways == ("runfile",):
        yield bad(
            f"The NVIDIA driver came by {here}: packages of a driver do not go beside it",
            here,
            "packages of a driver",
            weight="fail" if case.needs.driver else "info",
            evidence=evidence,
            remedy=_taken_away(sources) if case.needs.driver else None,
        )
    else:
        version = f" {sources[0].version}" if sources[0].version else ""
        yield good(f"The NVIDIA driver{version} came from {here}", here, evidence=evidence)


def versions(case: Case) -> Iterator[Verdict]:
    """The module in memory against the libraries on disk, and against the module that is loaded next."""
    if not case.facts.gpus:
        return
    software = case.audit.software
    if case.facts.os.wsl:
        yield _of_windows(software.library_driver)
        return
    loaded, library = software.loaded_driver, software.library_driver
    if loaded.value is not None:
        yield from _loaded(case, loaded.value)
    elif loaded.state != "absent":
        yield cannot(loaded, "Which NVIDIA driver is loaded")
    elif library.value or software.module_file.value:
        version = library.value or software.module_file.value
        yield bad(
            f"The NVIDIA driver {version} is installed and not loaded",
            "not loaded",
            f"{version} loaded",
            weight=_stands_in_the_way(case),
            evidence=(seen(loaded, loaded.why), seen(library)),
            limits="Secure Boot, nouveau and a kernel for which it was not built are the usual reasons.",
            remedy=by_hand(
                "`sudo modprobe nvidia`, and read why it fails: `sudo dmesg | tail`.",
                "Restart, where the driver was installed since the last start.",
                reboot=True,
            ),
        )
    elif library.state != "absent":
        yield cannot(library, "Whether an NVIDIA driver is installed")
    elif case.needs.gpu and not case.needs.driver:
        yield bad(
            "There is no NVIDIA driver, and none is going to be installed",
            "none",
            "a driver",
            weight="fail",
            evidence=(seen(loaded, loaded.why),),
            remedy=by_hand("Install a driver: `provision plan` says which.", reboot=True),
        )
    else:
        yield good(
            "There is no NVIDIA driver yet", "none", weight="info", evidence=(seen(loaded, loaded.why),)
        )


def _of_windows(library: Reading[str]) -> Verdict:
    """Windows brings the libraries, and the loader must know where they are."""
    if library.state != "absent" or library.source != _LOADER:
        return inapplicable("Whether the driver and its libraries agree", _OF_WINDOWS)
    return bad(
        f"Programs do not find the driver's libraries: {library.why}",
        "not found",
        f"{_LENT} known to the loader",
        evidence=(seen(library, library.why),),
        limits="What this tool starts finds them all the same.",
        remedy=by_hand(
            f"Have the loader know them: `echo {_LENT} | sudo tee /etc/ld.so.conf.d/ld.wsl.conf`.",
            "`sudo ldconfig`; that something there is no symbolic link is no fault.",
            "WSL does that itself, unless `ldconfig = false` stands under [automount] in /etc/wsl.conf.",
        ),
    )


def _loaded(case: Case, version: str) -> Iterator[Verdict]:
    software = case.audit.software
    library, module = software.library_driver, software.module_file
    evidence = (seen(software.loaded_driver), seen(library), seen(module))
    if library.value is not None and library.value != version:
        built = module.value != version or module.value is None
        step = "" if built else "Build the module of the libraries' version: `sudo dkms autoinstall`."
        yield bad(
            f"The driver in memory is {version}, its libraries are {library.value}: the GPU is out of use",
            f"{version} loaded, libraries {library.value}",
            "one version",
            weight=_stands_in_the_way(case),
            evidence=evidence,
            remedy=_restart(case, step),
        )
    elif library.state == "absent" and any(gpu.memory_bytes is not None for gpu in case.facts.gpus):
        # NVML, one of them, answered: they lie where this system keeps them, and are of the loaded version.
        yield good(f"The driver in memory is {version}, and its libraries answer", version, evidence=evidence)
    elif library.state == "absent":
        yield bad(
            f"The driver {version} is loaded, and its libraries are not here",
            f"{version} loaded, no libraries",
            "both",
            weight=_stands_in_the_way(case),
            evidence=evidence,
            remedy=_libraries(case, version),
        )
    elif library.value is None:
        yield cannot(library, "Whether the driver's libraries are of its version")
    elif module.value is not None and module.value != version:
        yield bad(
            f"The driver in memory is {version}, and after a restart it will be {module.value}",
            f"{version} loaded, {module.value} next",
            "one version",
            weight="warn",
            evidence=evidence,
            remedy=_restart(case, f"Install the libraries of {module.value} first, of the same source."),
        )
    else:
        yield good(f"The driver in memory and its libraries are both {version}", version, evidence=evidence)


def nouveau(case: Case) -> Iterator[Verdict]:
    """The free driver, which holds the GPU that NVIDIA's wants."""
    if not case.facts.gpus:
        return
    reading = case.audit.software.nouveau
    bound = [gpu.address for gpu in case.facts.gpus if gpu.driver == "nouveau"]
    if case.facts.os.wsl:
        yield inapplicable("nouveau", _OF_WINDOWS)
        return
    if case.facts.os.container:
        yield inapplicable("nouveau", CONTAINER)
        return
    if reading.value is None and reading.state != "absent" and not bound:
        yield cannot(reading, "Whether nouveau is loaded")
        return
    # The role that installs a driver keeps nouveau from being loaded; what is built in it cannot keep away.
    weight: Weight = "info" if case.needs.driver or case.needs.gpu is False else "warn"
    built_in: Weight = "fail" if case.needs.driver else weight
    evidence = (seen(reading), *(Evidence(f"/sys/bus/pci/devices/{one}/driver", "nouveau") for one in bound))
    if reading.value == "built-in":
        yield bad(
            "nouveau is built into the kernel, and takes the GPU before NVIDIA's driver can",
            "built-in",
            "not used",
            weight=built_in,
            evidence=evidence,
            remedy=kernel_option(
                case,
                "nouveau.modeset=0",
                risk="The screen may show text only until NVIDIA's driver is there.",
            ),
        )
    elif reading.value == "loaded" or bound:
        which = f" and has {listed(bound)}" if bound else ""
        yield bad(
            f"nouveau is loaded{which}, where NVIDIA's driver cannot be loaded beside it",
            "loaded",
            "not loaded",
            weight=weight,
            evidence=evidence,
            remedy=_blacklisted(case),
        )
    elif reading.value == "blacklisted":
        yield good("nouveau is told to stay away", "blacklisted", evidence=evidence)
    else:
        yield good("nouveau is not loaded", "not loaded", evidence=evidence)


def processes(case: Case) -> Iterator[Verdict]:
    """Who has a GPU open: their memory is gone, and a driver in use is not replaced."""
    if not case.facts.gpus:
        return
    reading = case.audit.software.gpu_processes
    if reading.value is None:
        if reading.state == "absent":
            yield good("No program uses the GPU", "none", evidence=(seen(reading, reading.why),))
        else:
            yield cannot(reading, "Who uses the GPU")
        return
    found = reading.value
    limits = "" if case.facts.privilege == "root" else "Without root only your own programs are seen."
    if not found:
        yield good("No program uses the GPU", "none", evidence=(seen(reading, "none"),), limits=limits)
        return
    names = listed([f"{one.name} ({one.pid})" for one in found])
    verb = "has" if len(found) == 1 else "have"
    usual = all(one.name in (*_DISPLAY, *_OF_DRIVER) for one in found)
    yield bad(
        f"{several(len(found), 'program')} {verb} the GPU open: {names}",
        names,
        "nobody",
        weight="warn" if case.needs.driver or not usual else "info",
        evidence=tuple(
            Evidence(f"/proc/{one.pid}/fd", f"{one.name} of {one.user or 'somebody'}") for one in found
        ),
        limits=limits,
        remedy=by_hand(
            "Ask whose they are, and end them: `sudo fuser -v /dev/nvidia*` shows them.",
            *(("Or restart after the driver was installed.",) if case.needs.driver else ()),
            risk="Unfinished work of theirs is lost.",
        ),
    )


def _stands_in_the_way(case: Case) -> Weight:
    """A driver that does not work yet: no matter where one is going to be installed anyhow."""
    if case.needs.driver:
        return "warn"
    return "fail" if case.needs.gpu else "high"


def _restart(case: Case, before: str) -> Remedy:
    steps = tuple(filter(None, (before, "Restart: `sudo systemctl reboot`.")))
    if case.facts.os.container:
        return by_hand(
            "Start this container anew, after a restart of the machine that runs it.", actor="host"
        )
    return by_hand(*steps, reboot=True)


def _libraries(case: Case, version: str) -> Remedy:
    if case.facts.os.container:
        step = "Start the container with its GPUs (`--gpus all`): NVIDIA's container toolkit brings them in."
        return by_hand(step, actor="host")
    return by_hand(f"Install the libraries of {version}, of the same source as the driver.")


def _of(sources: tuple[DriverSource, ...], way: str) -> list[DriverSource]:
    return [one for one in sources if one.way == way]


def _taken_away(sources: tuple[DriverSource, ...] | list[DriverSource], *, wsl: bool = False) -> Remedy:
    """What removes drivers that came in some ways."""
    steps = []
    if any(one.way == "runfile" for one in sources):
        steps.append("Take the installer's driver away: `sudo nvidia-uninstall`.")
    packaged = [
        one.evidence.partition(" ")[0]
        for one in sources
        if one.way not in ("runfile", "container") and one.evidence
    ]
    if packaged:
        steps.append(f"Remove the packages that it came by: {listed(packaged)}, and those that go with it.")
    if wsl:
        return by_hand(*steps, "`wsl --shutdown` in Windows, and start again.", reboot=True)
    return by_hand(
        *steps,
        "Restart.",
        reboot=True,
        risk="Until another driver is there, the GPU computes nothing and screens may be plain.",
    )


def _blacklisted(case: Case) -> Remedy:
    known = commands(case.facts.os)
    image = f"`{known.initramfs}`" if known else "Make the initramfs anew, as this system does it."
    return by_hand(
        "Write `blacklist nouveau` and `options nouveau modeset=0` into /etc/modprobe.d/nouveau-off.conf.",
        image,
        "Restart.",
        reboot=True,
        risk="The screen may show text only until NVIDIA's driver is there.",
    )


RULES = (
    Rule("gpu.driver-source", "gpu", source),
    Rule("gpu.driver-versions", "gpu", versions),
    Rule("gpu.nouveau", "gpu", nouveau),
    Rule("gpu.processes", "gpu", processes),
)
