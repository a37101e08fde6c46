"""What is to be done about a driver on this box, out of what is there and what is asked for. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple

from ..errors import TargetError
from ..probe import windows
from .driver_look import Seen

# Modules that come signed with the distribution's key: no key of this machine is needed for them.
SIGNED = ("linux-modules-nvidia-", "linux-signatures-nvidia-")


class Verdict(NamedTuple):
    """`do` is nothing, check or install; `say` are sentences for whoever waits."""

    do: str
    say: List[str]
    load: bool = False


def decide(seen: Seen, wants: Dict[str, Any]) -> Verdict:
    """`wants`: the role's public variables, without the role's name. Raises TargetError."""
    action = wants["action"]
    if seen.wsl:
        return in_wsl(seen, wants)
    if action == "none":
        return Verdict("nothing", [nothing(seen)])
    if action == "keep":
        return keep(seen)
    if not seen.root:
        raise TargetError("a driver is installed by root only", "run it with root or sudo")
    if not wants["packages"] and not wants["runfile"]:
        raise TargetError(
            "nvidia_driver_action is install, and no package is named",
            "let `provision up` choose, or name them in nvidia_driver_packages",
        )
    wanted = wants["without_gpu"] == "install"
    if seen.container and not wanted:
        raise TargetError(
            "a container (%s) uses the driver of the machine that runs it" % seen.container,
            "install it there; nvidia_driver_without_gpu=install builds it here and loads nothing",
        )
    if not seen.gpus and not wanted:
        return Verdict("nothing", ["There is no NVIDIA GPU here: no driver is installed."])
    if seen.container:
        return Verdict("install", ["In a container the driver is installed, and nothing is loaded."])
    if not seen.gpus:
        return Verdict("install", ["There is no NVIDIA GPU yet: the driver is installed, and not loaded."])
    return Verdict("install", [], load=True)


def in_wsl(seen: Seen, wants: Dict[str, Any]) -> Verdict:
    """In WSL2 the driver is Windows' own: it is looked at, and never touched."""
    action = wants["action"]
    if action == "install":
        raise TargetError(
            "in WSL2 the driver is Windows' own: one that is installed here would hide it",
            "install NVIDIA's driver in Windows, and leave nvidia_driver_action at none",
        )
    if seen.loaded and seen.windows:
        return Verdict("nothing", [*_of_windows(seen), *_for_nobody(wants)])
    what = "does not answer" if seen.windows else "is not there (%s)" % windows.LIBRARIES
    if action == "keep":
        raise TargetError(
            "the driver that Windows lends to WSL %s" % what,
            "install or update NVIDIA's driver in Windows, then run wsl --shutdown there",
        )
    return Verdict("nothing", ["The driver that Windows lends to WSL %s." % what])


def _of_windows(seen: Seen) -> Iterator[str]:
    yield "Windows' driver %s is used, and left alone (%s)." % (seen.loaded, seen.windows)
    if seen.lost:
        yield (
            "The loader does not know %s, so only what this tool starts finds it: write that folder into "
            "/etc/ld.so.conf.d/ld.wsl.conf and run sudo ldconfig." % windows.LIBRARIES
        )


def _for_nobody(wants: Dict[str, Any]) -> Iterator[str]:
    """What is asked for beside a driver and belongs to a driver of Linux' own."""
    if wants.get("container_toolkit"):
        yield "nvidia_driver_container_toolkit is left out: in WSL nothing goes beside Windows' driver."


def keep(seen: Seen) -> Verdict:
    """A driver that is there stays, whoever installed it; it must answer."""
    if seen.loaded:
        return Verdict("check", ["Driver %s is there, and stays." % seen.loaded])
    if seen.gpus and not seen.container:
        raise TargetError(
            "the driver is to stay, and none is loaded",
            "load it (modprobe nvidia), or have one installed (nvidia_driver_branch=auto)",
        )
    return Verdict("nothing", [nothing(seen)])


def nothing(seen: Seen) -> str:
    """Why nothing is done."""
    if seen.loaded:
        return "Driver %s is there; nothing is asked of it." % seen.loaded
    if seen.gpus:
        return "An NVIDIA GPU is here and no driver; none is asked for."
    return "There is no NVIDIA GPU here: there is no driver to install."


def signs_itself(wants: Dict[str, Any]) -> bool:
    """Whether modules are signed on this machine: those that are built here, under Secure Boot."""
    return not any(name.startswith(SIGNED) for name in wants["packages"])
