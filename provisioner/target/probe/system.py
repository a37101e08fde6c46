"""Operating system, container, processor and memory, from /proc, /sys and /etc."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Dict, List, Optional, Tuple

from . import firmware
from .box import Box

Mounts = List[Dict[str, Any]]
# Larger "limits" are the kernel's way of writing none (2^63 rounded down to a page).
NO_LIMIT = 1 << 60
LAYERED = ("overlay", "aufs", "fuse.fuse-overlayfs")


def operating_system(box: Box, mounts: Mounts) -> Dict[str, Any]:
    """`Facts.os`."""
    release = os_release(box)
    kernel = (box.look("os.kernel", "/proc/sys/kernel/osrelease") or "").strip()
    container = find_container(box, mounts)
    in_wsl = wsl(box, kernel, container)
    return {
        "id": release.get("ID", "linux" if release else ""),
        "version_id": release.get("VERSION_ID", ""),
        "pretty": release.get("PRETTY_NAME", ""),
        "like": release.get("ID_LIKE", "").split(),
        "kernel": kernel,
        "arch": machine(box),
        **libc(box),
        "systemd": systemd(box),
        "wsl": in_wsl,
        "container": container,
        "secure_boot": firmware.secure_boot(box, in_wsl, container),
        "boot": (box.look("os.boot", "/proc/sys/kernel/random/boot_id") or "").strip(),
    }


def os_release(box: Box) -> Dict[str, str]:
    """Keys and values of os-release; empty, and unknown, when there is none."""
    text = box.peek("os.release", "/etc/os-release")
    if text is None:
        text = box.look("os.release", "/usr/lib/os-release")
    found = {}
    for line in (text or "").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and re.match(r"[A-Z][A-Z0-9_]*$", key):
            found[key] = unquote(value.strip())
    return found


def unquote(value: str) -> str:
    """One shell word as os-release allows it: quotes taken off, backslash escapes undone."""
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return re.sub(r"\\(.)", r"\1", value)


def machine(box: Box) -> str:
    """The kernel's name for the processor architecture: x86_64, aarch64, …"""
    if box.live:
        return os.uname().machine
    box.missing("os.arch", "a recorded tree does not tell")
    return ""


def libc(box: Box) -> Dict[str, str]:
    """Name and version of the C library that this interpreter runs on."""
    if not box.live:
        box.missing("os.libc", "a recorded tree does not tell")
        return {"libc": "", "libc_version": ""}
    try:
        words = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        words = []
    if len(words) == 2:
        return {"libc": words[0], "libc_version": words[1]}
    if any(name.startswith("ld-musl-") for name in listing("/lib")):
        box.missing("os.libc_version", "musl has no call that tells its version")
        return {"libc": "musl", "libc_version": ""}
    box.missing("os.libc", "neither glibc nor musl")
    return {"libc": "", "libc_version": ""}


def listing(path: str) -> List[str]:
    """Names in a folder; none when it cannot be listed."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def systemd(box: Box) -> Optional[bool]:
    """Whether systemd is the init that runs (the test of sd_booted)."""
    if box.there("/run/systemd/system"):
        return True
    if box.there("/run"):
        return False
    box.missing("os.systemd", "/run is not there")
    return None


def wsl(box: Box, kernel: str, container: Optional[str]) -> Optional[bool]:
    """Whether this is WSL: Microsoft's kernel and its GPU device; a container on WSL has the kernel only."""
    if not kernel:
        box.missing("os.wsl", "the kernel release is unknown")
        return None
    if "microsoft" not in kernel.lower():
        return False
    if box.there("/dev/dxg"):
        return True
    if container:
        return False
    box.missing("wsl.gpu", "Microsoft's kernel without /dev/dxg: WSL 1, or no GPU passed on")
    return True


def find_container(box: Box, mounts: Mounts) -> Optional[str]:
    """The kind of container this is, or None.

    /.dockerenv alone proves nothing: machine images made from container images keep it. So it counts only
    when the root file system is layered, or a folder of another one.
    """
    told = box.peek("os.container", "/run/systemd/container")
    # systemd takes WSL for a kind of container, and notes that here.
    if told and told.strip() and told.split()[0] != "wsl":
        return told.split()[0]
    if box.there("/run/.containerenv"):
        return "podman"
    if not mounts:
        box.missing("os.container", "no mount table to tell a container from an image made of one")
        return None
    root = next((mount for mount in reversed(mounts) if mount["point"] == "/"), None)
    inside = root is not None and (root["fs"] in LAYERED or root["root"] != "/")
    if inside and box.there("/.dockerenv"):
        return "docker"
    if any(mount["fs"] == "fuse.lxcfs" and mount["point"].startswith("/proc/") for mount in mounts):
        return "lxc"
    # Container runtimes lay their own /etc/hosts over the image's; a live system's layered root has none.
    if inside and any(mount["point"] in ("/etc/hosts", "/etc/hostname") for mount in mounts):
        return "oci"
    return None


def cpu(box: Box) -> Dict[str, Any]:
    """`Facts.cpu`: of the first processor; cores are distinct (package, core) pairs."""
    text = box.look("cpu", "/proc/cpuinfo")
    processors = []
    for block in (text or "").split("\n\n"):
        keys = {}
        for line in block.splitlines():
            key, colon, value = line.partition(":")
            if colon:
                keys[key.strip()] = value.strip()
        if "processor" in keys:
            processors.append(keys)
    if not processors:
        if text is not None:
            box.missing("cpu", "/proc/cpuinfo names no processor")
        return {"model": "", "cores": None, "threads": None, "flags": []}
    first = processors[0]
    return {
        "model": cpu_model(box, first),
        "cores": count_cores(box, processors),
        "threads": len(processors),
        "flags": (first.get("flags") or first.get("Features") or "").split(),
    }


def cpu_model(box: Box, keys: Dict[str, str]) -> str:
    """The marketing name, or on Arm the implementer and part numbers, which is all that the kernel says."""
    if keys.get("model name"):
        return keys["model name"]
    if "CPU implementer" in keys:
        return "implementer %s part %s" % (keys["CPU implementer"], keys.get("CPU part", "?"))
    box.missing("cpu.model", "/proc/cpuinfo does not name it")
    return ""


def count_cores(box: Box, processors: List[Dict[str, str]]) -> Optional[int]:
    """Physical cores; cpuinfo tells on x86, the topology in sysfs elsewhere."""
    if all("core id" in keys for keys in processors):
        return len({(keys.get("physical id"), keys["core id"]) for keys in processors})
    siblings = set()
    for keys in processors:
        name = "/sys/devices/system/cpu/cpu%s/topology/thread_siblings_list" % keys["processor"]
        listed = box.look("cpu.cores", name) if keys["processor"].isdigit() else None
        if not listed:
            return None
        siblings.add(listed)
    return len(siblings)


def memory(box: Box, mounts: Mounts) -> Dict[str, Optional[int]]:
    """`Facts.memory`, in bytes."""
    text = box.look("memory", "/proc/meminfo") or ""
    sizes = {key: int(kib) * 1024 for key, kib in re.findall(r"(?m)^(\w+):\s+(\d+) kB$", text)}
    for key, what in (("MemTotal", "memory.total_bytes"), ("MemAvailable", "memory.available_bytes")):
        if text and key not in sizes:
            box.missing(what, "/proc/meminfo has no %s" % key)
    return {
        "total_bytes": sizes.get("MemTotal"),
        "available_bytes": sizes.get("MemAvailable"),
        "limit_bytes": memory_limit(box, mounts),
    }


def memory_limit(box: Box, mounts: Mounts) -> Optional[int]:
    """The smallest memory limit of the cgroups around this process, in bytes; None when there is none."""
    limits = []
    for version, folder in cgroups(box, "memory.limit_bytes", "memory", mounts):
        name = "memory.max" if version == 2 else "memory.limit_in_bytes"
        value = (box.peek("memory.limit_bytes", folder + "/" + name) or "").strip()
        if value.isdigit() and int(value) < NO_LIMIT:
            limits.append(int(value))
    return min(limits) if limits else None


def cgroups(box: Box, what: str, controller: str, mounts: Mounts) -> List[Tuple[int, str]]:
    """Version and folder of each cgroup around this process that a controller may limit it in, as far up as
    they are mounted here; an entry in `unknown` for the fact `what` when the kernel does not tell.
    """
    found = []
    for line in (box.look(what, "/proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and controller in controllers.split(","):
            found += [(1, folder) for folder in _chain(mounts, "cgroup", controller, path)]
        elif colon and not controllers:
            found += [(2, folder) for folder in _chain(mounts, "cgroup2", "", path)]
    return found


def _chain(mounts: Mounts, fs: str, controller: str, path: str) -> List[str]:
    """Folders of a cgroup and of those above it, in the first hierarchy that is mounted with a controller."""
    for mount in mounts:
        if mount["fs"] != fs or (controller and controller not in mount["options"]):
            continue
        # In a container the mount begins at the container's own cgroup, which `path` may still start with.
        below = path
        if mount["root"] != "/" and (path + "/").startswith(mount["root"] + "/"):
            below = path[len(mount["root"]) :]
        # A path that climbs out of the namespace ("/../x") ends at the mount: normpath clamps it.
        steps = [step for step in os.path.normpath("/" + below).split("/") if step]
        point = mount["point"].rstrip("/")
        return ["/".join([point, *steps[:depth]]) for depth in range(len(steps), -1, -1)]
    return []


def python() -> Dict[str, str]:
    """The interpreter that runs this."""
    version = "%d.%d.%d" % tuple(sys.version_info[:3])
    return {"version": version, "executable": sys.executable}
