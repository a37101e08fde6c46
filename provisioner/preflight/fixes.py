"""What `--fix` can do by itself: only what is safe, and easily undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from provisioner.facts import OperatingSystem
from provisioner.preflight.finding import Finding

FixName = Literal["time-sync", "unattended-upgrades", "kernel-headers"]
NAMES: tuple[FixName, ...] = get_args(FixName)


@dataclass(frozen=True)
class Fix:
    """`does` is what will be changed, in words; `undo` the command that takes the usual case of it back (the
    receipt has each case: another time service, say)."""

    does: str
    undo: str


FIXES: Mapping[FixName, Fix] = {
    "time-sync": Fix(
        does="the installed time service, or else systemd-timesyncd, starts now and with the system",
        undo="systemctl disable --now systemd-timesyncd",
    ),
    "unattended-upgrades": Fix(
        does="unattended upgrades leave the packages of the NVIDIA driver alone "
        "(/etc/apt/apt.conf.d/90provisioner-unattended)",
        undo="rm /etc/apt/apt.conf.d/90provisioner-unattended",
    ),
    "kernel-headers": Fix(
        does="the package with the headers of the running kernel is installed",
        undo="apt-get remove linux-headers-$(uname -r)",
    ),
}


def offered(os: OperatingSystem, name: FixName) -> FixName | Literal[""]:
    """The fix, where it can be had: for systems with apt; a time service is systemd's to start, which leaves
    it out in WSL.
    """
    if name == "time-sync" and (os.systemd is False or os.wsl):
        return ""
    likes = {os.id, *(word for like in os.like for word in like.split())}
    return name if likes & {"debian", "ubuntu"} else ""


def fixes_for(findings: Iterable[Finding]) -> tuple[FixName, ...]:
    """The fixes that these findings ask for, each once, in the order in which they are applied."""
    wanted = {one.remedy.fix for one in findings if one.remedy and one.status in ("fail", "warn")}
    return tuple(name for name in NAMES if name in wanted)
