"""How long an audit takes, beside inxi and Lynis, as whole processes in turn: `python -m
benchmarks.preflight`.

Needs inxi and lynis (apt-get install). With --host the audit over SSH is measured as well, cold and warm.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

OURS = (sys.executable, "-m", "provisioner", "preflight")
ALONE = (*OURS, "--no-network", "--no-packages")
# Lynis's own names of its tests that look at hardware, firmware, the kernel and storage.
LYNIS = "boot_services,kernel,memory_processes,storage,hardware"
SECONDS, SSH_SECONDS = 0.3, 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure in turn, print medians and ratios; 1 when one does not hold and --assert is given."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.preflight")
    parser.add_argument("--runs", type=int, default=7, help="of each")
    parser.add_argument("--host", help="a machine to audit over SSH as well")
    parser.add_argument("--ssh-config", help="how to reach it")
    parser.add_argument("--without-lynis", action="store_true", help="which takes a minute a run")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one is too slow")
    asked = parser.parse_args(argv)
    contestants: dict[str, Sequence[str]] = {
        "preflight, without packages and network": ALONE,
        "preflight, without network": (*OURS, "--no-network"),
        "preflight": OURS,
        "inxi -Fxxx": ("inxi", "-Fxxx", "-c0"),
    }
    if not asked.without_lynis:
        contestants["lynis, hardware and firmware"] = (
            "lynis", "audit", "system", "--quick", "--quiet", "--nolog", "--tests-from-group", LYNIS,
        )  # fmt: skip
    if asked.host:
        config = ("--ssh-config", asked.ssh_config) if asked.ssh_config else ()
        contestants["preflight over SSH"] = (*ALONE, "--host", asked.host, *config)
    for argv_ in contestants.values():
        if shutil.which(argv_[0]) is None:
            raise SystemExit(f"{argv_[0]} is not here: apt-get install {argv_[0]}")
    times = measured(contestants, asked.runs)
    ours = statistics.median(next(iter(times.values())))
    print(f"{os.cpu_count()} processors, load {Path('/proc/loadavg').read_text().split()[0]}")
    for name, seen in times.items():
        middle = statistics.median(seen)
        print(f"{name:42} {middle:7.3f} s  ({min(seen):.3f} to {max(seen):.3f})  {middle / ours:6.1f} × ours")
    late = ours >= SECONDS or ours >= statistics.median(times["inxi -Fxxx"])
    if asked.host:
        late = late or statistics.median(times["preflight over SSH"]) >= SSH_SECONDS
    return int(asked.strict and late)


def measured(contestants: dict[str, Sequence[str]], runs: int) -> dict[str, list[float]]:
    """Seconds of whole processes, in turn, after one of each that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(runs + 1):
        for name, argv in contestants.items():
            started = time.perf_counter()
            ended = subprocess.run(argv, check=False, capture_output=True)
            took = time.perf_counter() - started
            # 3: something blocks a model here, which is an answer too.
            if name.startswith("preflight") and ended.returncode not in (0, 3):
                raise SystemExit(f"{name}: {ended.stderr.decode()}")
            if turn:
                times[name].append(took)
    return times


if __name__ == "__main__":
    raise SystemExit(main())
