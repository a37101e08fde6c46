"""The few questions to NVIDIA's management library: names, memory, compute capability, driver version."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, Optional

from . import windows
from .box import Box

LIBRARIES = ("libnvidia-ml.so.1", windows.LIBRARIES + "/libnvidia-ml.so.1")


class Pci(ctypes.Structure):
    """nvmlPciInfo_t of nvml.h."""

    _fields_ = [
        ("old_bus_id", ctypes.c_char * 16),
        ("domain", ctypes.c_uint),
        ("bus", ctypes.c_uint),
        ("slot", ctypes.c_uint),
        ("device_and_vendor", ctypes.c_uint),
        ("subsystem", ctypes.c_uint),
        ("bus_id", ctypes.c_char * 32),
    ]


class Memory(ctypes.Structure):
    """nvmlMemory_t of nvml.h, in bytes."""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class RefusedError(Exception):
    """A call of the library that did not answer 0."""


def read(box: Box, wsl: bool) -> Dict[str, Any]:
    """`driver` (version or None) and `gpus` as far as the library tells; what it refuses becomes unknown."""
    found: Dict[str, Any] = {"driver": None, "gpus": []}
    if wsl:
        # What it stands on; where that is missing, the library itself says so below.
        windows.preload(box)
    try:
        library = load(LIBRARIES[::-1] if wsl else LIBRARIES)
    except OSError as error:
        box.missing("gpus.memory_bytes", "no NVML: %s" % error)
        return found
    try:
        call(library, "nvmlInit_v2")
    except RefusedError as error:
        box.missing("gpus.memory_bytes", str(error))
        return found
    try:
        version = ctypes.create_string_buffer(96)
        call(library, "nvmlSystemGetDriverVersion", version, ctypes.c_uint(96))
        found["driver"] = version.value.decode("ascii", "replace") or None
        count = ctypes.c_uint()
        call(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        for index in range(count.value):
            found["gpus"].append(device(box, library, index))
    except RefusedError as error:
        box.missing("gpus.memory_bytes", str(error))
    finally:
        library.nvmlShutdown()
    return found


def load(names: Any) -> Any:
    """The first of the libraries that loads; raises the last one's OSError."""
    for name in names[:-1]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return ctypes.CDLL(names[-1])


def call(library: Any, name: str, *arguments: Any) -> None:
    """Call a function of the library; raises RefusedError with its name and code."""
    function = getattr(library, name, None)
    code = function(*arguments) if function is not None else "absent"
    if code != 0:
        raise RefusedError("%s answered %s" % (name, code))


def device(box: Box, library: Any, index: int) -> Dict[str, Any]:
    """One GPU: address as sysfs writes it, PCI device id, name, memory in bytes (None when refused)."""
    handle = ctypes.c_void_p()
    call(library, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    pci = Pci()
    call(library, "nvmlDeviceGetPciInfo_v3", handle, ctypes.byref(pci))
    address = "%04x:%02x:%02x.0" % (pci.domain, pci.bus, pci.slot)
    name, memory = ctypes.create_string_buffer(96), Memory()
    found: Dict[str, Any] = {
        "address": address,
        "device": "0x%04x" % (pci.device_and_vendor >> 16),
        "name": None,
        "memory_bytes": None,
        "capability": capability(box, library, handle, address),
    }
    try:
        call(library, "nvmlDeviceGetName", handle, name, ctypes.c_uint(96))
        found["name"] = name.value.decode("utf-8", "replace")
        # Unified-memory boards have no memory of their own and refuse this one.
        call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
        found["memory_bytes"] = memory.total
    except RefusedError as error:
        box.missing("gpus.%s" % address, str(error))
    return found


def capability(box: Box, library: Any, handle: Any, address: str) -> Optional[str]:
    """The compute capability, as in "8.9"; None when it is refused, or the library is older than the call."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    try:
        call(
            library,
            "nvmlDeviceGetCudaComputeCapability",
            handle,
            ctypes.byref(major),
            ctypes.byref(minor),
        )
    except RefusedError as error:
        box.missing("gpus.%s.capability" % address, str(error))
        return None
    return "%d.%d" % (major.value, minor.value)
