"""Kernel modules of a GPU, of the section software: the one that would be loaded, dkms, and nouveau."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Tuple

from ..box import MISSING, Box, reason
from . import modinfo, readings
from .files import names_in, text_of
from .kernels import MODULES, others_kernel
from .readings import Malformed, Reading
from .sight import Sight

TREE = "/var/lib/dkms"
LOADED = "/proc/modules"
# Of what is not among the loaded modules, this folder shows what is part of the kernel.
INSIDE = "/sys/module/nouveau"
# modprobe's folders; a file counts once, in the first that has its name.
MODPROBE = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
# Debian calls it nvidia-current, nvidia-tesla-470, …; its companions (drm, uvm, modeset, peermem) are others.
_DRIVER = re.compile(
    r"(?m)^(\S*/nvidia(?:-(?:current|tesla|legacy)[^/:]*?)?"
    r"(?<!-drm)(?<!-uvm)(?<!-modeset)(?<!-peermem)\.ko(?:\.\w+)?):"
)
_KEPT_OUT = re.compile(
    r"(?m)^[ \t]*(?:blacklist[ \t]+nouveau|install[ \t]+nouveau[ \t]+\S*/(?:false|true))[ \t]*(?:#.*)?$"
)
_OPTION = re.compile(
    r"(?:^|\s)(?:(?:(?:rd\.driver|modprobe)\.blacklist|rdblacklist|module_blacklist)=(?:\S*,)?nouveau(?:,\S*)?"
    r"|nouveau\.blacklist(?:=1)?)(?=\s|$)"
)
FILES = 300


def modules(box: Box, sight: Sight, kernels: List[str]) -> Dict[str, Any]:
    """`loaded_driver`, `module_file`, `nouveau` and `dkms_failed`; `kernels`: the running release first."""
    elsewhere = others_kernel(sight)
    nothing = readings.not_applicable(elsewhere or "")
    return {
        "loaded_driver": loaded(box, sight),
        "module_file": nothing if elsewhere else module_file(box, kernels[0] if kernels else ""),
        "nouveau": nouveau(box, sight),
        "dkms_failed": nothing if elsewhere else dkms_failed(box, kernels),
    }


def loaded(box: Box, sight: Sight) -> Reading:
    """The version of the NVIDIA module in memory, which the facts have."""
    version = sight.facts.get("driver_version")
    source = "NVML" if sight.wsl else "/proc/driver/nvidia/version"
    if version:
        return readings.read(version, source)
    for entry in box.unknown:
        if entry["what"] == "driver_version":
            return readings.error(entry["why"], source)
    if sight.wsl:
        return readings.hidden("NVML does not answer: see the driver's version in Windows", source)
    return readings.absent("no NVIDIA module is loaded", source)


def module_file(box: Box, release: str) -> Reading:
    """The version of the module that modprobe would take for a kernel."""
    index = "%s/%s/modules.dep" % (MODULES, release)
    try:
        text = box.read(index).decode("utf-8", "backslashreplace") if release else ""
    except OSError as failure:
        if failure.errno in MISSING:
            return readings.hidden("this kernel has no list of its modules here", index)
        return readings.hidden(reason(failure, index), index)
    match = _DRIVER.search(text)
    if match is None:
        return readings.absent("this kernel has no NVIDIA module", index)
    path = match.group(1)
    path = path if path.startswith("/") else "%s/%s/%s" % (MODULES, release, path)
    try:
        return readings.read(modinfo.version(box, path), path)
    except OSError as failure:
        return readings.error(reason(failure, path), path)
    except Malformed as wrong:
        return readings.error(str(wrong), path)
    except modinfo.Packed as packed:
        # Whoever built it by dkms noted which version that was.
        built = [version for name, version in trees(box) if built_for(box, name, version, release)]
        if len(built) == 1 and "/updates/" in path:
            return readings.read(built[0], TREE)
        return readings.hidden("%s: modinfo -F version nvidia" % packed, path)


def nouveau(box: Box, sight: Sight) -> Reading:
    """loaded, built-in, blacklisted, or "" for none of these."""
    for gpu in sight.facts.get("gpus") or ():
        if gpu.get("driver") == "nouveau":
            return readings.read("loaded", "/sys/bus/pci/devices/%s/driver" % gpu["address"])
    try:
        text = box.read(LOADED).decode("utf-8", "backslashreplace")
    except OSError as failure:
        # A kernel that takes no modules has no list of them.
        if failure.errno not in MISSING or not box.there("/sys/module"):
            return readings.hidden(reason(failure, LOADED), LOADED)
        text = ""
    if re.search(r"(?m)^nouveau ", text):
        return readings.read("loaded", LOADED)
    elsewhere = others_kernel(sight)
    if elsewhere:
        return readings.not_applicable(elsewhere)
    builtin = "%s/%s/modules.builtin" % (MODULES, sight.facts["os"]["kernel"])
    if re.search(r"(?m)/nouveau\.ko", text_of(box, builtin)):
        return readings.read("built-in", builtin)
    if box.there(INSIDE):
        return readings.read("built-in", INSIDE)
    for path in _settings(box):
        if _KEPT_OUT.search(text_of(box, path)):
            return readings.read("blacklisted", path)
    if _OPTION.search(text_of(box, "/proc/cmdline")):
        return readings.read("blacklisted", "/proc/cmdline")
    return readings.read("", LOADED)


def dkms_failed(box: Box, kernels: List[str]) -> Reading:
    """NVIDIA modules that dkms was to build and that are not there: "nvidia/550.1 for RELEASE: why"."""
    if not box.live and not box.there("/var/lib"):
        return readings.hidden("the recorded tree has no /var/lib", TREE)
    found: List[str] = []
    known = trees(box)
    for release in kernels:
        for name in sorted({name for name, _ in known}):
            versions = [version for one, version in known if one == name]
            if any(built_for(box, name, version, release) for version in versions):
                continue
            for version in versions:
                why = why_not(box, name, version, release)
                found.append("%s/%s for %s: %s" % (name, version, release, why))
    return readings.read(found, TREE)


def trees(box: Box) -> List[Tuple[str, str]]:
    """(name, version) of the NVIDIA modules that dkms knows."""
    return [
        (name, version)
        for name in names_in(box, TREE)
        if name.startswith("nvidia")
        for version in names_in(box, "%s/%s" % (TREE, name))
        if box.there("%s/%s/%s/source" % (TREE, name, version))
    ][:FILES]


def built_for(box: Box, name: str, version: str, release: str) -> bool:
    """Whether dkms has built a module for a kernel."""
    folder = "%s/%s/%s/%s" % (TREE, name, version, release)
    return any(names_in(box, "%s/%s/module" % (folder, machine)) for machine in names_in(box, folder))


def why_not(box: Box, name: str, version: str, release: str) -> str:
    """What dkms left of an attempt: its log lies in the folder `build` as long as it has not worked."""
    log = "%s/%s/%s/build/make.log" % (TREE, name, version)
    text = text_of(box, log)
    match = re.match(r"DKMS (?:\(\S+\) )?make\.log for \S+ for kernel (\S+)", text)
    if match and match.group(1) == release:
        return "the build failed, see " + log
    return "never built"


def _settings(box: Box) -> List[str]:
    """modprobe's files, each name once."""
    found: Dict[str, str] = {}
    for folder in MODPROBE:
        for name in names_in(box, folder)[:FILES]:
            if name.endswith(".conf"):
                found.setdefault(name, "%s/%s" % (folder, name))
    return [found[name] for name in sorted(found)]
