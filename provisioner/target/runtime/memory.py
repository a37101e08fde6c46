"""Memory: what a job used at its peak, and recognising that there was not enough of it, whoever noticed."""

from __future__ import annotations

import os
import re
import resource
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..errors import TargetError
from .files import size_text

# (what the text of a failure has in it, what ran out); the graphics card first.
_SIGNS: Tuple[Tuple[str, str], ...] = (
    (r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|cudaMalloc failed", "the GPU's memory"),
    (r"(CUDA error|cudaError\w*|HIP error|ErrorOutOfDeviceMemory|allocating .* on device \d).*", ""),
    (r"DefaultCPUAllocator: can.t allocate memory|not enough memory: you tried to allocate", "the memory"),
    (r"std::bad_alloc|MemoryError|Cannot allocate memory|Errno 12\b|posix_memalign failed", "the memory"),
    (r"unable to allocate \w+ buffer|failed to allocate (\w+ )*(buffers?|memory)|ENOMEM", "the memory"),
)  # fmt: skip
_ON_GPU = re.compile(r"out of memory|OutOfDeviceMemory|failed", re.IGNORECASE)
_GPU_BUFFER = re.compile(r"(CUDA|ROCm|Vulkan|Metal|SYCL)\d* buffer", re.IGNORECASE)


def ran_out(text: str) -> Optional[str]:
    """What ran out, when this text of a failure says that memory did: "the GPU's memory", "the memory"."""
    for sign, what in _SIGNS:
        found = re.search(sign, text)
        if found is None:
            continue
        if what:
            return "the GPU's memory" if _GPU_BUFFER.search(text) else what
        if _ON_GPU.search(found.group(0)):
            return "the GPU's memory"
    return None


def refusal(what: str, doing: str, spec: Dict[str, Any]) -> TargetError:
    """The error of a job that ran out of memory, with the next smaller plan that fits this box."""
    smaller = spec.get("smaller")
    if smaller:
        return TargetError(
            f"{what} does not suffice {doing}", f"take the next smaller: provision up --profile {smaller}"
        )
    return TargetError(
        f"{what} does not suffice {doing}",
        "no smaller profile is known for this machine: end what else uses its memory, or give it more",
    )


def require_room(files: Iterable[str], spec: Dict[str, Any], root: str = "/") -> None:
    """Refuses weights that are larger than all the memory there is, where they are to be read from it.

    Nothing else would: mapped files are dropped and read again, and a generation takes hours.
    """
    needed, room = sum(map(os.path.getsize, files)), total_bytes(root)
    if room is not None and needed > room:
        doing = f"to load {os.path.basename(spec['model'])} ({size_text(needed)})"
        raise refusal(f"the memory ({size_text(room)})", doing, spec)


def total_bytes(root: str = "/") -> Optional[int]:
    """What this machine has, or its control group may use; None where neither is shown."""
    machine = re.search(r"^MemTotal:\s+(\d+) kB", _text(os.path.join(root, "proc/meminfo")), re.MULTILINE)
    known = [int(machine.group(1)) * 1024 if machine else None, group_limit(root)]
    return min((count for count in known if count is not None), default=None)


def peak_rss_bytes() -> int:
    """The kernel's own high-water mark of this process, mapped files included.

    Not psutil: on Linux it knows only the present value, and a peak would have to be sampled.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts kibibytes


# --- the kernel's out-of-memory killer ---


class Kills(NamedTuple):
    """How often the killer struck: in this process's control group, and on the whole machine."""

    group: int
    machine: int


def kills(root: str = "/") -> Kills:
    """Both counters as they are now; what cannot be read counts as none."""
    return Kills(sum(_group_kills(path) for path in _groups(root)), _counter(root, "proc/vmstat", "oom_kill"))


def killed_for_memory(before: Kills, root: str = "/") -> Optional[str]:
    """Who ended a process for its memory since `before`, in a clause; None where nobody did."""
    now = kills(root)
    if now.group > before.group:
        limit = group_limit(root)
        return f"the control group's limit{f' of {size_text(limit)}' if limit else ''}"
    return "the machine's memory" if now.machine > before.machine else None


def group_limit(root: str = "/") -> Optional[int]:
    """The tightest memory limit, in bytes, of the control groups this process is in."""
    limits = []
    for path in _groups(root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(os.path.join(path, name)).strip()
            # Version 1 writes "no limit" as a number that no machine has.
            if text.isdigit() and int(text) < 1 << 60:
                limits.append(int(text))
    return min(limits, default=None)


def _groups(root: str) -> List[str]:
    """The folders of this process's memory control group and those above it, in both versions' layouts."""
    found: List[str] = []
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            top = os.path.join(root, "sys/fs/cgroup")
        elif "memory" in controllers.split(","):
            top = os.path.join(root, "sys/fs/cgroup/memory")
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        # In a container the mount shows the container's own group at its top, whatever the path says.
        found += [os.path.join(top, *parts[:count]) for count in range(len(parts), -1, -1)]
    return [path for path in dict.fromkeys(found) if os.path.isdir(path)]


def _group_kills(path: str) -> int:
    return _counter(path, "memory.events.local", "oom_kill") or _counter(
        path, "memory.oom_control", "oom_kill"
    )


def _counter(folder: str, name: str, key: str) -> int:
    for line in _text(os.path.join(folder, name)).splitlines():
        word, _, number = line.partition(" ")
        if word == key and number.strip().isdigit():
            return int(number)
    return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        # Not every kernel and container shows these, and then they say nothing.
        return ""
