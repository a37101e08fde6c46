"""Processes that have a GPU open, of the section software."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Set

from ..box import Box
from ..users import find
from . import readings
from .files import names_in, text_of
from .readings import Reading
from .sight import Sight

NVIDIA = "0x10de"
NODES = re.compile(r"nvidia(\d+|ctl|-uvm|-modeset)$|dxg$")
# Open files that are looked at in all: a server with more takes longer than an audit may.
OPEN = 200_000


def gpu_processes(box: Box, sight: Sight) -> Reading:
    """`Software.gpu_processes`, without this one."""
    if not box.live:
        return readings.hidden("a recorded tree has no processes", "/proc")
    nodes = devices(box)
    if not nodes:
        return readings.read([], "/dev")
    found, refused, looked = [], 0, 0
    for pid in sorted(int(name) for name in names_in(box, "/proc") if name.isdigit()):
        if pid == os.getpid():
            continue
        folder = "/proc/%d/fd" % pid
        try:
            numbers = os.listdir(folder)
        except PermissionError:
            refused += 1
            continue
        except OSError:
            continue  # it has ended
        looked += len(numbers)
        if looked > OPEN:
            return readings.hidden("there are more than %d open files" % OPEN, "/proc")
        held = opened(folder, numbers, nodes)
        if held:
            found.append(process(box, pid, held))
    if not found and refused:
        return readings.hidden("open files of %d processes are not shown without root" % refused, "/proc")
    if not found and sight.container:
        return readings.hidden("a container sees its own processes only", "/proc")
    return readings.read(found, "/proc")


def devices(box: Box) -> Set[str]:
    """The device files of NVIDIA GPUs; those of other graphics are none of ours."""
    found = {"/dev/" + name for name in names_in(box, "/dev") if NODES.match(name)}
    for name in names_in(box, "/dev/dri"):
        vendor = text_of(box, "/sys/class/drm/%s/device/vendor" % name, 64).strip()
        if name.startswith(("renderD", "card")) and vendor == NVIDIA:
            found.add("/dev/dri/" + name)
    return found


def opened(folder: str, numbers: List[str], nodes: Set[str]) -> Set[str]:
    """Which of the device files a process has open."""
    found = set()
    for number in numbers:
        try:
            target = os.readlink("%s/%s" % (folder, number))
        except OSError:
            continue  # it was closed
        if target in nodes:
            found.add(target)
    return found


def process(box: Box, pid: int, held: Set[str]) -> Dict[str, Any]:
    """One of `Software.gpu_processes`."""
    status = text_of(box, "/proc/%d/status" % pid, 4096)
    name = re.search(r"(?m)^Name:\t(.*)$", status)
    uid = re.search(r"(?m)^Uid:\t(\d+)", status)
    account = find(box, uid=int(uid.group(1))) if uid else None
    user = str(account["name"]) if account else (uid.group(1) if uid else "")
    return {"pid": pid, "name": name.group(1) if name else "", "user": user, "devices": sorted(held)}
