"""How long a plan takes: `python -m benchmarks.plan`. No machine: boxes in words."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from provisioner import profiles
from provisioner.compat.box import box_from
from provisioner.compat.decide import Ask, Decision, decide
from provisioner.compat.described import described
from provisioner.compat.solver import Conflict
from provisioner.facts import Facts

DECIDE_SECONDS = 0.050
WHOLE: dict[str, Any] = {
    "arch": "x86_64",
    "memory": "64GB",
    "cores": 16,
    "disk": "500GB",
    "secure_boot": True,
}
GPU, CPU = "autoglm-phone-9b", "gemma3-270m"
# What is asked, of which box; impossible ones take longest, as each way out is tried.
CASES: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("RTX 4090, driver kept", GPU, {"gpu": "RTX 4090", "os": "ubuntu24.04", "driver": "580.95.05"}, {}),
    ("RTX 5090, driver to install", GPU, {"gpu": "RTX 5090", "os": "debian12", "driver": "none"}, {}),
    ("8 × H100, an older driver", GPU, {"gpu": "8x H100", "os": "ubuntu22.04", "driver": "535.274.02"}, {}),
    ("nothing known of the driver", GPU, {"gpu": "RTX 4090", "os": "debian13"}, {}),
    ("no GPU", CPU, {"gpu": "none", "os": "debian12"}, {}),
    ("impossible: CUDA 12.4 on an RTX 5090", GPU, {"gpu": "RTX 5090", "os": "ubuntu24.04"}, {"cuda": "12.4"}),
    ("impossible: CentOS 7, three reasons", GPU, {"gpu": "RTX 4090", "os": "centos7", "driver": "none"}, {}),
    ("impossible: a V100 beside an RTX 5090", GPU, {"gpu": "V100 32GB + RTX 5090", "os": "ubuntu24.04"}, {}),
)
COMMAND = ("plan", "--profile", GPU, "--gpu", "RTX 4090", "--os", "ubuntu24.04")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether every decision is quick: 1 when not and --assert is given."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.plan")
    parser.add_argument("--runs", type=int, default=20, help="of each")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one is too slow")
    asked = parser.parse_args(argv)
    slowest = 0.0
    for name, profile, words, more in CASES:
        facts = described(**{**WHOLE, **words})
        wanted = Ask(profiles.load(profile), **more)
        possible = isinstance(decide(box_from(facts), wanted), Decision)
        if possible == name.startswith("impossible"):
            raise SystemExit(f"{name}: is not what is measured here")
        times = measured(partial(_decided, facts, wanted), asked.runs)
        slowest = max(slowest, statistics.median(times))
        print(line(f"decide  {name}", times))
    whole = measured(_command, max(3, asked.runs // 4))
    print(line(f"provision {' '.join(COMMAND)}", whole))
    print(line("python -c pass", measured(_nothing, max(3, asked.runs // 4))))
    quick = slowest < DECIDE_SECONDS
    print(f"{'holds' if quick else 'FAILS'}  every decision in less than {DECIDE_SECONDS * 1000:.0f} ms")
    return int(asked.strict and not quick)


def measured(what: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each run."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        what()
        times.append(time.perf_counter() - begun)
    return times


def line(name: str, times: Sequence[float]) -> str:
    """A median and a range, in milliseconds."""
    low, middle, high = min(times), statistics.median(times), max(times)
    return f"{middle * 1000:8.1f} ms  {low * 1000:.1f} to {high * 1000:.1f}  {name}"


def _decided(facts: Facts, wanted: Ask) -> Decision | Conflict:
    return decide(box_from(facts), wanted)


def _command() -> None:
    subprocess.run([sys.executable, "-m", "provisioner", *COMMAND], check=True, stdout=subprocess.DEVNULL)


def _nothing() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
