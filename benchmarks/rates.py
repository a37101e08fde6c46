"""Rates that `provision preflight --bench` measures, beside fio, mbw and sysbench, in turn: `python -m
benchmarks.rates`.

Reads only, but for one file of its own that all contestants read. Needs fio, mbw and sysbench (apt-get
install).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from provisioner.target.probe.audit import bandwidth, bench

TOOLS = ("fio", "mbw", "sysbench")
MIB = 1 << 20
ALIKE = 0.15
THREADS = len(os.sched_getaffinity(0))
# One unit, one row of contestants: ours first.
Row = tuple[str, str, dict[str, Callable[[], float]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure in turn, print medians and ratios; 1 when a ratio is off by more than 15 % and --assert is
    given.
    """
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.rates")
    parser.add_argument("--runs", type=int, default=7, help="of each")
    parser.add_argument("--megabytes", type=int, default=1024, help="of the file that is read")
    parser.add_argument("--folder", type=Path, default=Path.home(), help="on the disk to measure")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one is not alike")
    asked = parser.parse_args(argv)
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        raise SystemExit(f"{', '.join(lacking)} is not here: apt-get install {' '.join(lacking)}")
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="rates-") as folder:
        file = Path(folder) / "weights"
        _fill(file, asked.megabytes)
        worst = max(_compare(row, asked.runs) for row in rows(folder, file))
    return int(asked.strict and worst > ALIKE)


def rows(folder: str, file: Path) -> list[Row]:
    """What is compared: the same pattern, size of block and number of threads each time."""
    sequential = ("--rw=read", "--bs=1M", f"--numjobs={bench.READERS}", "--runtime=2")
    spread = (f"--offset_increment={100 // bench.READERS}%",)
    return [
        ("disk, in one go", "MB/s", {
            "--bench": lambda: _ours(folder, "sequential") / 1e6,
            "fio": lambda: _fio(file, *sequential, *spread) / 1e6,
        }),
        ("disk, single pages", "IOPS", {
            "--bench": lambda: _ours(folder, "random") / bench.PAGE,
            "fio": lambda: _fio(file, "--rw=randread", "--bs=4k", "--runtime=1") / bench.PAGE,
        }),
        ("memory, one thread", "GB/s", {
            "--bench": lambda: _memory("memory_one_thread") / 1e9,
            "sysbench read": lambda: _sysbench(1) / 1e9,
            "mbw copy, in and out": lambda: 2 * _mbw() / 1e9,
        }),
        (f"memory, {THREADS} threads", "GB/s", {
            "--bench": lambda: _memory("memory") / 1e9,
            "sysbench read": lambda: _sysbench(THREADS) / 1e9,
        }),
    ]  # fmt: skip


def _compare(row: Row, runs: int) -> float:
    """Print a row; how far the second contestant, which does the same, is from ours."""
    what, unit, contestants = row
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, measure in contestants.items():
            times[name].append(measure())
    ours, *others = (statistics.median(seen) for seen in times.values())
    for name, seen in times.items():
        middle = statistics.median(seen)
        print(
            f"{what:20} {name:22} {middle:10.1f} {unit}  ({min(seen):.1f} to {max(seen):.1f})"
            f"  {middle / ours:5.2f} of ours"
        )
    return abs(others[0] / ours - 1)


def _fill(file: Path, megabytes: int) -> None:
    block = os.urandom(MIB)
    with file.open("wb") as out:
        for _ in range(megabytes):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def _ours(folder: str, name: str) -> float:
    found = bench.disk(folder)[name]
    if found["state"] != "read":
        raise SystemExit(f"{name}: {found['why']}")
    return float(found["value"]["bytes_per_second"])


def _memory(name: str) -> float:
    return float(bandwidth.memory()[name]["value"]["bytes_per_second"])


def _fio(file: Path, *words: str) -> float:
    out = _run(
        "fio", "--name=it", f"--filename={file}", "--direct=1", "--ioengine=psync", "--readonly",
        "--time_based", "--group_reporting", "--output-format=json", *words,
    )  # fmt: skip
    return float(json.loads(out[out.index("{") :])["jobs"][0]["read"]["bw_bytes"])


def _sysbench(threads: int) -> float:
    out = _run(
        "sysbench", "memory", "--memory-oper=read", "--memory-block-size=128M", "--memory-total-size=10T",
        f"--threads={threads}", "--time=1", "run",
    )  # fmt: skip
    found = re.search(r"\(([\d.]+) MiB/sec\)", out)
    assert found is not None, out
    return float(found.group(1)) * MIB


def _mbw() -> float:
    out = _run("mbw", "-q", "-n", "5", "-t0", "256")
    found = re.search(r"AVG.*Copy: ([\d.]+) MiB/s", out)
    assert found is not None, out
    return float(found.group(1)) * MIB


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
