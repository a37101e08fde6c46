"""NVIDIA GPUs: from the PCI bus without a driver, named and sized once there is one."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional, Tuple

from .box import MISSING, Box, reason

DEVICES = "/sys/bus/pci/devices"
NVIDIA = "0x10de"
VERSION = "/proc/driver/nvidia/version"


def gpus(box: Box, wsl: bool) -> Tuple[List[Dict[str, Any]], Optional[str]]:
    """`Facts.gpus` and `Facts.driver_version`. NVML is asked only where a driver is loaded, or in WSL."""
    found = on_the_bus(box)
    driver = driver_version(box)
    for gpu in found:
        gpu["name"] = model(box, gpu["address"])
    if box.live and (wsl or driver):
        from . import nvml

        read = nvml.read(box, wsl)
        driver = driver or read["driver"]
        by_address = {gpu["address"]: gpu for gpu in found}
        for seen in read["gpus"]:
            # In WSL the bus shows no GPU at all: NVML is the only one who knows.
            gpu = by_address.get(seen["address"], {})
            if not gpu:
                gpu = {"vendor": NVIDIA, "driver": None, "name": None}
                found.append(gpu)
            gpu.update((key, value) for key, value in seen.items() if value is not None)
    blank = {"name": None, "memory_bytes": None, "capability": None, "driver": None}
    return [{**blank, **gpu} for gpu in sorted(found, key=lambda gpu: str(gpu["address"]))], driver


def on_the_bus(box: Box) -> List[Dict[str, Any]]:
    """Display devices (class 0x03) of NVIDIA on the PCI bus."""
    try:
        names = sorted(os.listdir(box.path(DEVICES)))
    except OSError as error:
        # A machine without any PCI bus (a small VM) has no such folder; one that hides it is another matter.
        if error.errno not in MISSING or not box.there("/sys"):
            box.missing("gpus", reason(error, DEVICES))
        return []
    found = []
    for name in names:
        folder = DEVICES + "/" + name
        vendor = (box.look("gpus." + name, folder + "/vendor") or "").strip()
        kind = (box.look("gpus." + name, folder + "/class") or "").strip() if vendor == NVIDIA else ""
        if kind.startswith("0x03"):
            device = (box.look("gpus." + name, folder + "/device") or "").strip()
            found.append({"address": name, "vendor": vendor, "device": device, "driver": bound(box, folder)})
    return found


def bound(box: Box, folder: str) -> Optional[str]:
    """The kernel module bound to a device: nvidia, nouveau, vfio-pci, or None."""
    try:
        return os.path.basename(os.readlink(box.path(folder + "/driver")))
    except OSError as error:
        if error.errno not in MISSING:
            box.missing("gpus.driver", reason(error, folder + "/driver"))
        return None


def model(box: Box, address: str) -> Optional[str]:
    """The name that a loaded driver gives a GPU."""
    text = box.peek("gpus.name", "/proc/driver/nvidia/gpus/%s/information" % address) or ""
    match = re.search(r"(?m)^Model:\s*(\S.*?)\s*$", text)
    return match.group(1) if match else None


def driver_version(box: Box) -> Optional[str]:
    """Version of the loaded NVIDIA kernel module, None when none is loaded."""
    text = box.peek("driver_version", VERSION)
    if text is None:
        return None
    version = parse_version(text)
    if version is None:
        box.missing("driver_version", "%s names no version" % VERSION)
    return version


def parse_version(text: str) -> Optional[str]:
    """The version in /proc/driver/nvidia/version, of the closed and of the open module."""
    match = re.search(
        r"(?m)^NVRM version:.*?Kernel Module\s+(?:for\s+\S+\s+)?(\d+\.\d+(?:\.\d+)?)(?:\s|$)", text
    )
    return match.group(1) if match else None
