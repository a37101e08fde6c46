"""Loads the driver that was installed, without a restart where nothing is in the way."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Sequence

from ..errors import TargetError
from ..probe import gpus
from ..probe.audit.files import text_of
from . import driver_look
from .command import Host, last_words
from .driver_look import Seen

# In the order in which they let go of each other.
MODULES = ("nvidia_peermem", "nvidia_uvm", "nvidia_drm", "nvidia_modeset", "nvidia")
# What the driver brings along has the GPU open, and lets go of it when told.
SERVICES = ("nvidia-persistenced", "nvidia-fabricmanager")
# What modprobe or the kernel says, and what it means.
REFUSALS = (
    (
        r"Key was rejected by service|Required key not available",
        "Secure Boot does not trust the key that its modules are signed with",
        "enroll the key (mokutil --import, then the blue screen at the next start), or turn Secure Boot off",
    ),
    (
        r"NVRM:.*(?:requires use of the NVIDIA open kernel modules|open GPU kernel module)",
        "this GPU runs with the open kernel modules only",
        "take them: nvidia_driver_modules=open",
    ),
    (
        r"NVRM:.*not supported by (?:the )?(?:open|NVIDIA.*open)",
        "this GPU runs with the proprietary kernel modules only",
        "take them: nvidia_driver_modules=proprietary",
    ),
    (
        r"NVRM:.*(?:supported through the NVIDIA \S+ Legacy|not supported by the \S+ (?:NVIDIA )?driver)",
        "this GPU is none that the branch serves",
        "take an older branch (nvidia_driver_branch)",
    ),
    (
        r"disagrees about version of symbol|Exec format error|version magic",
        "its modules were built for another kernel",
        "restart, and run again",
    ),
    (
        r"No such device",
        "it finds no GPU that it serves",
        "see which branches and modules serve this GPU: provision plan",
    ),
)


def load(host: Host, seen: Seen, extra: Sequence[str], check: bool) -> Dict[str, Any]:
    """`{"changed", "loaded": version or None, "reboot": why or ""}`. Raises TargetError for a driver that
    cannot be loaded.
    """
    found = driver_look.module_of(host, seen.running)
    if found is None:
        others = [rel for rel in seen.here if rel != seen.running and driver_look.module_of(host, rel)]
        if others:
            why = "the driver was built for kernel %s, and %s runs" % (others[-1], seen.running)
            return _answer(False, seen.loaded, why)
        if check:
            return _answer(True, seen.loaded, "")
        raise TargetError(
            "the driver is installed, and kernel %s has no module of it" % seen.running,
            "see dkms status, and the logs below /var/lib/dkms",
        )
    missing = [name for name in ("nvidia_uvm", *extra) if name.replace("-", "_") not in loaded(host)]
    if seen.loaded == found.version and not missing:
        return _answer(False, seen.loaded, "")
    if check:
        return _answer(True, seen.loaded, "")
    changed = False
    if seen.loaded != found.version:
        why = in_the_way(host, seen)
        if why:
            return _answer(False, seen.loaded, why)
        insert(host, "nvidia")
        changed = True
    for name in missing:
        insert(host, name)
        changed = True
    now = gpus.driver_version(host.box)
    if now != found.version:
        raise TargetError(
            "driver %s was loaded, and the kernel says that it has %s" % (found.version, now or "none"),
            "restart, and run again",
        )
    return _answer(changed, now, "")


def in_the_way(host: Host, seen: Seen) -> str:
    """Have whatever holds the GPUs let go of them; why only a restart helps, or "" where they are free."""
    if seen.nouveau == "built-in":
        return "nouveau is part of the kernel, and holds the GPU"
    if seen.nouveau == "loaded":
        if driver_look.users_of_nouveau(host.box):
            return "nouveau is in use by the console"
        done = host.ask([_modprobe(host), "-r", "nouveau"])
        if done.rc:
            return "nouveau cannot be unloaded (%s)" % last_words(done.lines)
    if seen.loaded:
        return unload(host, seen.loaded)
    return ""


def unload(host: Host, version: str) -> str:
    """Unload the driver that is loaded; why it cannot be, or ""."""
    stopped = stop_services(host)
    who = driver_look.users(host.box)
    why = ""
    if who:
        why = "driver %s is loaded and used by %s" % (version, _listed(who))
    else:
        done = host.ask([_modprobe(host), "-r", *[name for name in MODULES if name in loaded(host)]])
        if done.rc:
            why = "driver %s is loaded and cannot be unloaded (%s)" % (version, last_words(done.lines))
    if why:
        for unit in stopped:
            host.ask(["systemctl", "start", unit])
    return why


def stop_services(host: Host) -> List[str]:
    """Stop what has the GPU open and is the driver's own; the units that ran."""
    if host.tool("systemctl") is None:
        return []
    ran = [unit for unit in SERVICES if host.ask(["systemctl", "is-active", "--quiet", unit]).rc == 0]
    for unit in ran:
        host.ask(["systemctl", "stop", unit])
    return ran


def insert(host: Host, name: str) -> None:
    """Load one module. Raises TargetError with why it does not load."""
    done = host.ask([_modprobe(host), name])
    if done.rc:
        raise refused(name, last_words(done.lines), kernel_words(host))


def refused(name: str, said: str, kernel: List[str]) -> TargetError:
    """Why a module does not load, by what modprobe and the kernel said."""
    text = "\n".join([said, *kernel])
    for pattern, why, hint in REFUSALS:
        if re.search(pattern, text):
            shown = _evidence(pattern, text)
            return TargetError("module %s does not load: %s (%s)" % (name, why, shown), hint)
    shown = " | ".join([said, *kernel][:3])
    return TargetError("module %s does not load: %s" % (name, shown), "dmesg says more")


def kernel_words(host: Host) -> List[str]:
    """The last lines of the kernel's log that are about the driver."""
    tool = host.tool("dmesg")
    done = host.ask([tool]) if tool else None
    lines = done.lines if done and done.rc == 0 else []
    about = [re.sub(r"^\[[^\]]*\]\s*", "", line) for line in lines if re.search(r"NVRM|nvidia|nouveau", line)]
    return about[-5:]


def loaded(host: Host) -> List[str]:
    """Names of the modules that are loaded."""
    return [line.split()[0] for line in text_of(host.box, "/proc/modules").splitlines() if line.strip()]


def _modprobe(host: Host) -> str:
    tool = host.tool("modprobe")
    if tool is None:
        raise TargetError("modprobe is not installed", "install kmod, then run again")
    return tool


def _evidence(pattern: str, text: str) -> str:
    return next((line.strip() for line in text.splitlines() if re.search(pattern, line)), "")[:200]


def _listed(who: Sequence[str]) -> str:
    return ", ".join(who[:3]) + (" and %d more" % (len(who) - 3) if len(who) > 3 else "")


def _answer(changed: bool, version: Any, reboot: str) -> Dict[str, Any]:
    return {"changed": changed, "loaded": version, "reboot": reboot}
