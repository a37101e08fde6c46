"""How long it takes to confirm that a machine needs nothing: `python -m benchmarks.converged`.

Whole processes against one machine over SSH, the contestants in turn, so that all see the same load.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contestants
from benchmarks.contestants import BESIDE, Box, Contestant
from tests import lab

CONFIRM_SECONDS = 1.0
HELP_SECONDS = 0.150
TIMES_ANSIBLE = 20.0
# One run of Ansible takes as long as twenty of ours: a fifth of the runs has to do for the others.
SHARE = 5


@dataclass(frozen=True)
class Expectation:
    """A figure that must hold, and what it is."""

    what: str
    holds: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether the expectations hold: 1 when not and --assert is given."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.converged")
    parser.add_argument("--runs", type=int, default=10, help="runs of ours; the others get a fifth")
    parser.add_argument("--host", help="a machine that is converged; without it one is made in the lab")
    parser.add_argument("--ssh-config", help="how to reach --host")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one does not hold")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if asked.host:
            expectations = compare(Box(asked.host, asked.ssh_config), asked.runs, folder)
        else:
            with converged_machine(folder) as box:
                expectations = compare(box, asked.runs, folder)
    for expectation in expectations:
        print(f"{'holds' if expectation.holds else 'FAILS'}  {expectation.what}")
    return int(asked.strict and not all(expectation.holds for expectation in expectations))


@contextmanager
def converged_machine(folder: Path) -> Iterator[Box]:
    """A fresh machine that `provision up` has finished with."""
    with lab.up(f"bench-{secrets.token_hex(3)}", release="bookworm", cache=True) as machine:
        box = Box(machine.name, str(machine.ssh_config))
        authority = lab.extra_ca_certificates()
        trust = ["--ca-certificate", str(authority)] if authority else []
        argv = [str(BESIDE / "provision"), "up", "--host", box.host, "--ssh-config", str(box.ssh_config)]
        subprocess.run(
            [*argv, *trust],
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        yield box


def compare(box: Box, runs: int, folder: Path) -> list[Expectation]:
    """Print the figures of one machine; what is expected of them."""
    found = box.look()
    states = box.states(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provision-benchmarks"
    warm, cold = (contestants.ours(box, folder / "state", cold=cold) for cold in (False, True))
    ansible_warm, ansible_cold = (
        contestants.ansible(box, found, folder, cold=cold) for cold in (False, True)
    )
    pyinfra = contestants.pyinfra(box, states, folder, cache)
    usage = Contestant(
        "provision --help", [str(BESIDE / "provision"), "--help"], lambda text: "Verbs" in text
    )
    times = measure([warm, cold, contestants.login(box), usage], [ansible_warm, ansible_cold, pyinfra], runs)
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; ", end="")
    print(f"load {os.getloadavg()[0]:.1f}; {len(states)} states; one machine over SSH")
    print(f"{'':42} {'median':>8} {'range':>17} {'runs':>5} {'times ours':>11}")
    for name, seconds in times.items():
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        beside = warm if "warm" in name else cold  # whoever logs in is held against our login
        ratio = "" if name == usage.name else f"{median[name] / median[beside.name]:.1f}"
        print(f"{name:42} {median[name]:>6.3f} s {spread:>17} {len(seconds):>5} {ratio:>11}")
    return [
        Expectation(f"{warm.name}: under {CONFIRM_SECONDS:g} s", median[warm.name] < CONFIRM_SECONDS),
        Expectation(f"{cold.name}: under {CONFIRM_SECONDS:g} s", median[cold.name] < CONFIRM_SECONDS),
        faster(median, warm, ansible_warm),
        faster(median, cold, ansible_cold),
        Expectation(f"{usage.name}: under {HELP_SECONDS * 1000:g} ms", median[usage.name] < HELP_SECONDS),
    ]


def faster(median: dict[str, float], one: Contestant, other: Contestant) -> Expectation:
    """The first is so many times as fast as the second."""
    ratio = median[other.name] / median[one.name]
    return Expectation(
        f"{one.name}: {ratio:.1f} times as fast as {other.name}, {TIMES_ANSIBLE:g} expected",
        ratio >= TIMES_ANSIBLE,
    )


def measure(often: Sequence[Contestant], seldom: Sequence[Contestant], runs: int) -> dict[str, list[float]]:
    """Seconds of each run by contestant, in turn. A first round of all is not counted: it fills caches."""
    times: dict[str, list[float]] = {contestant.name: [] for contestant in (*often, *seldom)}
    for index in range(-1, runs):
        in_turn = (*often, *seldom) if index == -1 or index % SHARE == 0 else often
        for contestant in in_turn:
            contestant.before()
            started = time.perf_counter()
            contestant.run()
            if index >= 0:
                times[contestant.name].append(time.perf_counter() - started)
    return times


if __name__ == "__main__":
    sys.exit(main())
