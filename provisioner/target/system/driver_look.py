"""What of the driver is there now: GPUs, kernels, modules, who is in the way, what Secure Boot trusts."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ..probe import dpkg, gpus, system, windows
from ..probe.audit import certificates, gpu_users, kernels, modules
from ..probe.audit.files import names_in, text_of
from ..probe.audit.sight import Sight
from ..probe.box import Box, Malformed, mounts
from ..probe.efi import SHIM, VARIABLES, value
from ..probe.efi import certificates as listed
from . import driver_headers
from .command import Host

# What shim asks about at the next start; it is there from `mokutil --import` on, until somebody has answered.
ASKED = VARIABLES + "MokNew" + SHIM
WINDOWS = windows.LIBCUDA


class Module(NamedTuple):
    """The driver's module for one kernel: `signer` is "" for one that nobody signed."""

    version: str
    path: str
    signer: str = ""
    licence: str = ""

    @property
    def flavour(self) -> str:
        """open or proprietary: the licences of the open modules are MIT and GPL together."""
        return "open" if "GPL" in self.licence else "proprietary"


class Key(NamedTuple):
    """The certificate of the key that modules are signed with here: `state` is enrolled, asked or missing."""

    path: str
    state: str


class Seen(NamedTuple):
    """The box, as far as a driver is concerned."""

    root: bool
    ident: str
    like: Sequence[str]
    wsl: bool
    container: Optional[str]
    gpus: List[str]
    loaded: Optional[str]
    answers: Optional[bool]  # NVML, of each GPU; None where nothing is loaded
    silence: str  # why it does not
    nouveau: str  # loaded, built-in, blacklisted or ""
    secure_boot: Optional[bool]
    running: str
    kernels: List[driver_headers.Kernel]
    windows: str = ""  # where Windows' library lies in WSL
    lost: bool = False  # the loader does not know of it

    @property
    def here(self) -> List[str]:
        """Kernels that modules are for: in a container those that have headers."""
        return [kernel.release for kernel in self.kernels]


def look(host: Host) -> Seen:
    """Everything that decides; nothing is changed."""
    box = host.box
    facts = facts_of(box)
    here, loaded = facts["gpus"], facts["driver_version"]
    sight = Sight(box, facts, {})
    wsl = bool(facts["os"]["wsl"])
    answers, silence = nvml_answers(box, here, loaded)
    return Seen(
        root=not box.live or os.geteuid() == 0,
        ident=facts["os"]["id"],
        like=facts["os"]["like"],
        wsl=wsl,
        container=facts["os"]["container"],
        gpus=[str(gpu["address"]) for gpu in here],
        loaded=loaded,
        answers=answers,
        silence=silence,
        nouveau=modules.nouveau(box, sight)["value"] or "",
        secure_boot=facts["os"]["secure_boot"],
        running=facts["os"]["kernel"],
        kernels=kernels_of(box, sight),
        windows=WINDOWS if wsl and box.there(WINDOWS) else "",
        lost=wsl and windows.hidden_from_programs(box),
    )


def facts_of(box: Box) -> Dict[str, Any]:
    """The few of the Facts that are needed, as Sight wants them."""
    os_facts = system.operating_system(box, mounts(box))
    found, driver = gpus.gpus(box, bool(os_facts["wsl"]))
    return {"os": os_facts, "gpus": found, "driver_version": driver}


def nvml_answers(
    box: Box, found: Sequence[Dict[str, Any]], loaded: Optional[str]
) -> "tuple[Optional[bool], str]":
    """Whether the management library tells of each GPU that is there, and why not."""
    if not loaded:
        return None, ""
    # The library itself: it does not load, does not start, or is of another version than the module.
    said = [one["why"] for one in box.unknown if one["what"] == "gpus.memory_bytes"]
    if said:
        return False, "; ".join(said)
    # Boards whose memory is the machine's own refuse to tell its size, and answer all the same.
    refused = [one["what"] for one in box.unknown]
    addresses = [str(gpu["address"]) for gpu in found if gpu["memory_bytes"] is None]
    silent = [address for address in addresses if "gpus." + address not in refused]
    return (False, "GPU %s does not answer" % ", ".join(silent)) if silent else (True, "")


def kernels_of(box: Box, sight: Sight) -> List[driver_headers.Kernel]:
    """The running kernel and the next one; in a container those whose headers are installed there."""
    running = str(sight.facts["os"]["kernel"])
    if sight.wsl:
        return []
    if sight.container:
        return [
            driver_headers.Kernel(release, True, kernels.configured_compiler(box, release, folder))
            for release in names_in(box, kernels.MODULES)
            for folder in (kernels.headers(box, release),)
            if folder is not None
        ]
    found = kernels.images(box, running)["value"] or []
    return [
        driver_headers.Kernel(one["release"], one["headers"], one["gcc"], one["release"] == running)
        for one in found
    ]


def module_of(host: Host, release: str) -> Optional[Module]:
    """The driver's module that modprobe would take for a kernel; None when there is none."""
    found = modules.module_file(host.box, release)
    path = str(found["source"])
    if found["state"] == "absent" or not path.startswith(kernels.MODULES) or path.endswith("/modules.dep"):
        return None
    told = {key: _told(host, path, key) for key in ("version", "signer", "license")}
    version = str(found["value"] or told["version"])
    return Module(version, path, told["signer"], told["license"]) if version else None


def _told(host: Host, path: str, key: str) -> str:
    """What modinfo says of a module's file; "" when it says nothing."""
    tool = host.tool("modinfo")
    if tool is None:
        return ""
    done = host.ask([tool, "-F", key, host.box.path(path)])
    return done.lines[-1].strip() if done.rc == 0 and done.lines else ""


def users(box: Box) -> List[str]:
    """Who has a GPU open: "Xorg (process 812)"."""
    sight = Sight(box, facts_of(box), {})
    found = gpu_users.gpu_processes(box, sight)["value"] or []
    return ["%s (process %d)" % (one["name"] or "somebody", one["pid"]) for one in found]


def key_of(box: Box, paths: List[str]) -> Optional[Key]:
    """The certificate that modules are signed by here, and whether the firmware trusts it; None for none."""
    sight = Sight(box, {"os": {"container": None, "wsl": False}}, {})
    owners = certificates.enrolled(box, sight)
    found = certificates.certificates(box, paths, owners)["value"] or []
    if not found:
        return None
    first = found[0]
    if first["enrolled"]:
        return Key(first["path"], "enrolled")
    return Key(first["path"], "asked" if first["sha256"] in asked_for(box) else "missing")


def asked_for(box: Box) -> List[str]:
    """SHA-256 of each certificate that shim will ask about at the next start."""
    import hashlib

    try:
        content = box.read(ASKED)
        return [hashlib.sha256(one).hexdigest() for one in listed(value(content))]
    except (OSError, Malformed):
        return []


def compiler(box: Box) -> str:
    """The version of the system's own gcc, as far as files tell; "" for none."""
    return str(kernels.compiler(box)["value"] or "")


def installed(box: Box) -> List[str]:
    """Names of the packages that are there; none where dpkg is not the system's way."""
    try:
        return [name for name in dpkg.read(box) if ":" not in name]
    except (OSError, ValueError):
        return []


def users_of_nouveau(box: Box) -> int:
    """How many use the nouveau module (a console, a screen), 0 for nobody."""
    text = text_of(box, "/proc/modules")
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == "nouveau" and len(words) > 2 and words[2].isdigit():
            return int(words[2])
    return 0
