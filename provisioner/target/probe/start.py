"""Which start of the machine this is: what a restart changes, in containers too."""

from __future__ import annotations

from typing import Optional

from .box import Box

BOOT = "/proc/sys/kernel/random/boot_id"
INIT = "/proc/1/stat"
# The start time in /proc/<pid>/stat (field 22: proc_pid_stat(5)), counted after the program's name (2).
STARTTIME = 19


def identity(box: Box) -> str:
    """The kernel's boot id and the start time of process 1 in clock ticks: "7d8c…:512", or "".

    In a container the boot id is that of the kernel outside, which a restart of the container leaves alone.
    """
    boot, ticks = (_text(box, BOOT) or "").strip(), _ticks(_text(box, INIT))
    return "%s:%s" % (boot, ticks) if boot or ticks else ""


def restarted(noted: str, now: str) -> bool:
    """Whether the machine has been started since `noted`, an identity, as far as both can tell.

    Who cannot tell says yes: the role that asked for the restart looks again itself, and asks again.
    """
    was, _, then = noted.partition(":")
    boot, _, ticks = now.partition(":")
    return was != boot or not boot or then != ticks or not ticks


def _text(box: Box, path: str) -> Optional[str]:
    try:
        return box.text(path)
    except OSError:
        return None


def _ticks(stat: Optional[str]) -> str:
    """The start time in a process's stat line, whatever its program calls itself."""
    fields = (stat or "").rpartition(")")[2].split()
    return fields[STARTTIME] if len(fields) > STARTTIME and fields[STARTTIME].isdigit() else ""
