"""Limits, swap, modules, error correction and huge pages: passing, short, and unable to say."""

from __future__ import annotations

import pytest

from provisioner.audit import Dimm
from provisioner.facts import Memory, Unknown
from provisioner.preflight.needs import GB, Needs
from tests.unit.preflight.cases import GIB, Row, absent, check, elsewhere, hidden

ON_GPU = Needs(profile="autoglm", memory_bytes=16 * GB, gpu=True)
ON_PROCESSOR = Needs(profile="small", memory_bytes=16 * GB, gpu=False)
LXC = {"os": {"container": "lxc"}}
OUTSIDE = "not seen from inside a container: run this on the machine that runs it"
MADE_UP = "the modules of a guest are made up: look on the machine that runs it"
ONE = (Dimm("DIMM A1", 16 * GIB, "DDR4", 3200, 3200, 64, 64), Dimm("DIMM B1", 0))
TWO = tuple(Dimm(name, 16 * GIB, "DDR4", 3200, 3200, 64, 64) for name in ("A1", "B1"))
SLOW = tuple(Dimm(name, 16 * GIB, "DDR4", 3200, 2133, 64, 64) for name in ("A1", "B1"))
WIDE = tuple(Dimm(name, 16 * GIB, "DDR4", 3200, 3200, 72, 64) for name in ("A1", "B1"))


def limited(gib: float | None, total: float = 64) -> dict[str, object]:
    return {"memory": Memory(int(total * GIB), None, None if gib is None else int(gib * GIB))}


def swap(gib: float, free: float) -> dict[str, object]:
    return {"ram": {"swap_bytes": int(gib * GIB), "swap_free_bytes": int(free * GIB)}}


ROWS = [
    Row("none", "memory.limit", {"facts": limited(None)}, "pass: No limit is set on memory"),
    Row(
        "as large as the memory",
        "memory.limit",
        {"facts": limited(64)},
        "pass: The limit on memory is no smaller than the memory",
    ),
    Row(
        "large enough",
        "memory.limit",
        {"facts": limited(32)},
        "pass info: Programs here may use 34 GB of memory",
    ),
    Row(
        "too small",
        "memory.limit",
        {"facts": limited(4)},
        "warn warning: Programs here may use 4.3 GB of memory, and most models want at least 16 GB",
        actor="owner",
    ),
    Row(
        "too small for a profile, in a container",
        "memory.limit",
        {"facts": limited(4), "needs": ON_GPU, "os": {"container": "docker"}},
        "fail blocking: Programs here may use 4.3 GB of memory, and autoglm needs 16 GB",
        actor="host",
    ),
    Row(
        "unread",
        "memory.limit",
        {"facts": {"unknown": (Unknown("memory.limit_bytes", "/proc/self/cgroup: no such file"),)}},
        "unknown: Whether a limit is set on memory: /proc/self/cgroup: no such file",
    ),
    Row("some", "memory.swap", swap(8, 8), "pass: There is 8.6 GB of swap"),
    Row("a little is used", "memory.swap", swap(1, 0.2), "pass: There is 1.1 GB of swap"),
    Row(
        "none",
        "memory.swap",
        swap(0, 0),
        "pass info: There is no swap: a program that asks for more memory than there is ends at once",
    ),
    Row(
        "much is used",
        "memory.swap",
        swap(8, 1),
        "warn warning likely: 7.5 GB of 8.6 GB of swap are used: memory is short, or was",
        actor="system",
    ),
    Row(
        "unread",
        "memory.swap",
        {"ram": {"swap_bytes": hidden("/proc/meminfo: no such file")}},
        "unknown: Whether there is swap: /proc/meminfo: no such file",
    ),
    Row(
        "in a container",
        "memory.swap",
        {**LXC, **swap(8, 1)},
        f"not_applicable: Swap: {OUTSIDE}",
    ),
    Row(
        "one module",
        "memory.channels",
        {"ram": {"dimms": ONE}},
        "warn warning: One memory module is in, so memory runs at the rate of one channel",
        actor="owner",
    ),
    Row(
        "one module, model on the processor",
        "memory.channels",
        {"ram": {"dimms": ONE}, "needs": ON_PROCESSOR},
        "warn warning: One memory module is in, so memory runs at the rate of one channel",
    ),
    Row(
        "one module, model on a GPU",
        "memory.channels",
        {"ram": {"dimms": ONE}, "needs": ON_GPU},
        "pass info: One memory module is in, so memory runs at the rate of one channel",
    ),
    Row(
        "two modules",
        "memory.channels",
        {"ram": {"dimms": TWO}},
        "unknown: How many memory channels are used: makers name the sockets as they like",
    ),
    Row(
        "soldered",
        "memory.channels",
        {"ram": {"dimms": (Dimm("Motherboard", 16 * GIB, "LPDDR5", 6400, 6400),)}},
        "unknown: How many memory channels are used: makers name the sockets as they like",
    ),
    Row(
        "no table",
        "memory.channels",
        {"ram": {"dimms": hidden("only root may read /sys/firmware/dmi/tables/DMI")}},
        "unknown: How many memory channels are used: only root may read /sys/firmware/dmi/tables/DMI",
    ),
    Row(
        "empty table",
        "memory.channels",
        {"ram": {"dimms": ()}},
        "unknown: How many memory channels are used: the firmware's table names no module",
    ),
    Row(
        "guest",
        "memory.channels",
        {"sight": {"virtualization": "kvm"}, "ram": {"dimms": ONE}},
        f"not_applicable: How many memory channels are used: {MADE_UP}",
    ),
    Row(
        "WSL",
        "memory.channels",
        {"ram": {"dimms": elsewhere("look on the Windows side")}},
        "not_applicable: How many memory channels are used: look on the Windows side",
    ),
    Row(
        "full",
        "memory.speed",
        {"ram": {"dimms": TWO}},
        "pass: Memory runs at its full speed, 3200 million transfers a second",
    ),
    Row(
        "slow",
        "memory.speed",
        {"ram": {"dimms": SLOW}},
        "warn warning: Memory runs at 2133 million transfers a second and is made for 3200",
        actor="firmware",
    ),
    Row(
        "slow, model on a GPU",
        "memory.speed",
        {"ram": {"dimms": SLOW}, "needs": ON_GPU},
        "pass info: Memory runs at 2133 million transfers a second and is made for 3200",
    ),
    Row(
        "rounded",
        "memory.speed",
        {"ram": {"dimms": (Dimm("A1", GIB, "DDR4", 2667, 2666),)}},
        "pass: Memory runs at its full speed, 2666 million transfers a second",
    ),
    Row(
        "not said",
        "memory.speed",
        {"ram": {"dimms": (Dimm("A1", GIB, "DDR4"),)}},
        "unknown: How fast memory runs: the firmware's table does not say",
    ),
    Row(
        "guest",
        "memory.speed",
        {"sight": {"virtualization": "kvm"}, "ram": {"dimms": SLOW}},
        f"not_applicable: How fast memory runs: {MADE_UP}",
    ),
    Row(
        "agreed by the modules",
        "memory.ecc",
        {"ram": {"ecc": "multi-bit", "dimms": WIDE}},
        "pass: Memory corrects errors",
    ),
    Row(
        "agreed by the kernel",
        "memory.ecc",
        {"ram": {"ecc": "single-bit", "dimms": TWO, "edac": ("mc0",)}},
        "pass: Memory corrects errors",
    ),
    Row(
        "claimed and not there",
        "memory.ecc",
        {"ram": {"ecc": "multi-bit", "dimms": TWO, "edac": ()}},
        "unknown: Whether memory corrects errors: the firmware says so, and neither modules nor kernel agree",
    ),
    Row(
        "none",
        "memory.ecc",
        {"ram": {"ecc": "none", "dimms": TWO}},
        "pass info: Memory does not correct errors, as in most desktop machines",
    ),
    Row(
        "hidden",
        "memory.ecc",
        {"ram": {"ecc": hidden()}},
        "unknown: Whether memory corrects errors: only root may read it",
    ),
    Row(
        "guest",
        "memory.ecc",
        {"sight": {"virtualization": "kvm"}, "ram": {"ecc": "multi-bit"}},
        f"not_applicable: Error correction of memory: {MADE_UP}",
    ),
    Row(
        "usual",
        "memory.huge-pages",
        {"facts": limited(None), "ram": {"huge_pages": {2 << 20: 0}, "transparent_huge_pages": "madvise"}},
        "pass: The kernel gives large pages to programs that want them",
    ),
    Row(
        "off",
        "memory.huge-pages",
        {"ram": {"transparent_huge_pages": "never"}},
        "pass info: Transparent huge pages are off: the processor looks up addresses more often",
    ),
    Row(
        "half of the memory set aside",
        "memory.huge-pages",
        {"facts": limited(None), "ram": {"huge_pages": {2 << 20: 32 * GIB}}},
        "warn warning: 34 GB of 69 GB of memory are set aside as huge pages",
        actor="system",
    ),
    Row(
        "a kernel without",
        "memory.huge-pages",
        {"ram": {"transparent_huge_pages": absent()}},
        "pass: The kernel has no transparent huge pages",
    ),
    Row(
        "unread",
        "memory.huge-pages",
        {"ram": {"transparent_huge_pages": hidden("/sys is not mounted")}},
        "unknown: How the kernel uses huge pages: /sys is not mounted",
    ),
    Row(
        "in a container",
        "memory.huge-pages",
        {**LXC, "ram": {"transparent_huge_pages": "never"}},
        f"not_applicable: Huge pages: {OUTSIDE}",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_memory_is_judged(row: Row) -> None:
    check(row)
