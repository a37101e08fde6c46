"""How fast memory is read: what decides how fast a model generates on a processor.

Each thread looks through a buffer of its own for a byte that is not in it, with the C library's memchr, which
is written with the processor's widest instructions and runs without the interpreter's lock. Buffers are
written first: pages that nobody touched are one page of zeros, and a naive copy measures page faults.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import Dict, List, Tuple

from . import readings
from .readings import Reading

MIB = 1 << 20
SECONDS = 0.5
# All buffers together: so much more than the last cache that hardly any of it is still there the next time.
CACHES = 4
LEAST = 256 * MIB
SHARE_OF_FREE = 4
THREADS = 64


def memory() -> Dict[str, Reading]:
    """The readings `memory` (all processors this process may use) and `memory_one_thread`."""
    try:
        library = ctypes.CDLL(None)
        search = library.memchr
    except (OSError, AttributeError) as failure:
        why = readings.hidden("no C library to read memory with: %s" % failure)
        return {"memory": why, "memory_one_thread": why}
    search.restype = ctypes.c_void_p
    search.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    threads = min(len(os.sched_getaffinity(0)), THREADS)
    total = budget()
    if total < LEAST // 2:
        why = readings.hidden("too little memory is free to measure it")
        return {"memory": why, "memory_one_thread": why}
    buffers = [touched(total // threads) for _ in range(threads)]
    alone = touched(total) if threads > 1 else buffers[0]
    return {"memory": rate(search, buffers), "memory_one_thread": rate(search, [alone])}


def touched(size: int) -> "ctypes.Array[ctypes.c_char]":
    """A buffer of ones."""
    buffer = ctypes.create_string_buffer(size)
    ctypes.memset(buffer, 1, size)
    return buffer


def budget() -> int:
    """Bytes of all buffers together: beyond the caches, and within what is free."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(max(LEAST, CACHES * last_cache()), free // SHARE_OF_FREE)


def last_cache() -> int:
    """Bytes of all last-level caches together, 0 where the system does not say."""
    found: Dict[str, int] = {}
    for number in os.sched_getaffinity(0):
        folder = "/sys/devices/system/cpu/cpu%d/cache/index3/" % number
        try:
            with open(folder + "size", encoding="ascii") as file:
                size = file.read().strip()
            with open(folder + "shared_cpu_list", encoding="ascii") as file:
                shared = file.read().strip()
        except OSError:
            continue  # no third level, or nothing said of it
        if size.endswith("K") and size[:-1].isdigit():
            found[shared] = int(size[:-1]) * 1024
    return sum(found.values())


def rate(search: "ctypes._NamedFuncPointer", buffers: "List[ctypes.Array[ctypes.c_char]]") -> Reading:
    """Read each buffer again and again, a thread each, all at once; a Rate of all together."""
    start = threading.Barrier(len(buffers))
    measured: List[Tuple[int, float]] = []

    def work(buffer: "ctypes.Array[ctypes.c_char]") -> None:
        address, size, count = ctypes.addressof(buffer), len(buffer) - 1, 0
        start.wait()
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            search(address, 0, size)
            count += size
        measured.append((count, time.monotonic() - began))

    threads = [threading.Thread(target=work, args=(buffer,), daemon=True) for buffer in buffers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    how = "%d threads read %d MiB of touched memory each" % (len(buffers), len(buffers[0]) // MIB)
    if len(buffers) == 1:
        how = "one thread read %d MiB of touched memory" % (len(buffers[0]) // MIB)
    # Each thread by its own time: the last to end would else count as waiting for the others.
    return readings.read(
        {
            "bytes_per_second": sum(count / took for count, took in measured),
            "seconds": round(max(took for _, took in measured), 3),
            "bytes": sum(count for count, _ in measured),
            "how": how,
        },
        how,
    )
