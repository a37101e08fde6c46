"""Proves that the driver works as far as this box can show it, and says why where it does not."""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, Optional

from ..errors import TargetError
from . import driver_dkms, driver_look
from .command import Host
from .driver_look import Module, Seen

SEPARATOR = " — "


def check(host: Host, seen: Seen, wants: Dict[str, Any], installed: bool) -> Dict[str, Any]:
    """`{"version", "flavour", "signer", "kernels": {release: version}, "say"}`. Raises TargetError.

    With a GPU: the module that is loaded is the one that is installed, and NVML tells of each GPU. Without:
    each kernel that modules are built for has one. `installed`: whether the role installed it.
    """
    found = {release: driver_look.module_of(host, release) for release in seen.here}
    modules = {release: module for release, module in found.items() if module is not None}
    live = bool(seen.gpus) and not seen.container
    if installed:
        built(host, [release for release in found if release not in modules])
    if live or not installed:
        answers(seen, modules.get(seen.running))
    one = modules.get(seen.running) or next(iter(modules.values()), None)
    version = seen.loaded if live else (one.version if one else None)
    if installed:
        as_planned(version, str(wants["version"]))
        trusted(seen, one, live)
    return {
        "version": version,
        "flavour": one.flavour if one else None,
        "signer": one.signer if one else None,
        "kernels": {release: module.version for release, module in modules.items()},
        "say": [said(seen, version, live, installed)],
    }


def built(host: Host, missing: List[str]) -> None:
    """Every kernel of interest has a module."""
    if not missing:
        return
    failed = [one for one in driver_dkms.failures(host.box) if one.kernel in missing]
    if failed:
        raise TargetError(driver_dkms.sentence(failed[0]), failed[0].cause.hint)
    raise TargetError(
        "kernel %s has no module of the driver" % ", ".join(missing),
        "see dkms status, and whether the kernel's headers are installed",
    )


def answers(seen: Seen, module: Optional[Module]) -> None:
    """What is loaded is what is installed, and it tells of each GPU."""
    if seen.loaded is None:
        raise TargetError("no driver is loaded", "load it (modprobe nvidia) and see what dmesg says")
    if module is not None and module.version != seen.loaded:
        raise TargetError(
            "driver %s is loaded, and %s is installed" % (seen.loaded, module.version),
            "restart: the two do not work together",
        )
    if seen.answers is False:
        raise TargetError(
            "driver %s is loaded and does not answer: %s" % (seen.loaded, seen.silence),
            "see what dmesg says of NVRM; a library of another version asks for a restart",
        )


def as_planned(version: Optional[str], planned: str) -> None:
    """The branch is the one that the plan counts on; its newest release may be newer than the plan knows."""
    if version and planned and branch(version) != branch(planned):
        raise TargetError(
            "driver %s was installed where %s was planned" % (version, planned),
            "see which repositories bring it: a newer branch of another one may have won",
        )


def branch(version: str) -> str:
    """The branch of a version: "550" of "550.163.01"."""
    return version.partition(".")[0]


def trusted(seen: Seen, module: Optional[Module], live: bool) -> None:
    """Under Secure Boot a module that nobody signed is not loaded at the next start."""
    if live and seen.secure_boot and module is not None and not module.signer:
        raise TargetError(
            "Secure Boot is on, and the driver's module is signed by nobody (%s)" % module.path,
            "have dkms sign it (sign_file in /etc/dkms/framework.conf), then build it anew",
        )


def said(seen: Seen, version: Optional[str], live: bool, installed: bool) -> str:
    """What was proved, in one sentence."""
    if live or not installed:
        return "Driver %s answers." % version
    if not seen.here:
        return "There is no kernel with headers here: nothing was built."
    return "Driver %s is built for kernel %s; nothing is loaded." % (version, ", ".join(seen.here))


def why(host: Host, message: str, since: float = 0.0, keep: str = "") -> Dict[str, Any]:
    """`{"why", "hint"}` of a change that failed with this message: it may say its next step after a dash.

    A build that failed before `since` (seconds of the epoch) is some other change's. dkms's own log goes with
    the packages, so a copy stays in the folder `keep`.
    """
    head, _, hint = message.partition(SEPARATOR)
    failed = [one for one in driver_dkms.failures(host.box) if _time(host, one.log) >= since]
    if failed:
        log = _kept(host, failed[0].log, keep) if keep else failed[0].log
        return {"why": driver_dkms.sentence(failed[0]._replace(log=log)), "hint": failed[0].cause.hint}
    cause = driver_dkms.said_by_dkms(message)
    if cause and "dkms" in message.lower():
        return {"why": "%s (%s)" % (cause.why, cause.lines[0]), "hint": cause.hint}
    return {"why": head.strip() or "the driver could not be installed", "hint": hint.strip()}


def _kept(host: Host, log: str, folder: str) -> str:
    into = os.path.join(folder, os.path.basename(log))
    os.makedirs(host.box.path(folder), exist_ok=True)
    shutil.copyfile(host.box.path(log), host.box.path(into))
    return into


def _time(host: Host, path: str) -> float:
    try:
        return os.stat(host.box.path(path)).st_mtime
    except OSError:
        # dkms has cleaned up behind itself meanwhile.
        return 0.0
