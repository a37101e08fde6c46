"""What several hosts that want one model cost the hub: `python -m benchmarks.many_hosts`.

`provision up` over machines of the lab, which fetch a real small model from an emulated hub on this host.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests import lab
from tests.hub.huggingface import hugging_face
from tests.integration.faults import SHORT
from tests.integration.site import ENDPOINT, Site, gguf, site, tunnels

MOST_OF_ITS_SIZE = 1.3
PROFILE = ("--profile", "gemma3-270m")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether the expectation holds: 1 when not and --assert is given."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.many_hosts")
    parser.add_argument("--machines", type=int, default=8)
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when it does not hold")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        run = secrets.token_hex(3)
        names = [f"many-{run}-{number}" for number in range(asked.machines)]
        machines = [stack.enter_context(lab.up(name, release="bookworm", cache=True)) for name in names]
        times = measure(site(machines, Path(scratch)), Path(scratch))
    holds = times <= MOST_OF_ITS_SIZE
    print(f"{'holds' if holds else 'FAILS'}  the hub gives at most {MOST_OF_ITS_SIZE} times the model's size")
    return int(asked.strict and not holds)


def measure(found: Site, scratch: Path) -> float:
    """How often the hub has given the model when all machines have it."""
    # One machine first: the model that the hub then offers comes from a package index.
    up(found.reach(found.machines[0]), scratch)
    model = gguf(found.machines[0])
    with hugging_face({"config.json": b"{}", "m.gguf": model}, large={"m.gguf"}) as hub:
        with tunnels(found.machines, hub.url):
            wish = [*PROFILE, "--model", "hf:org/m", "--set", ENDPOINT, *SHORT]
            seconds = up([*found.reach(), *wish], scratch)
        sent = hub.hub.total
    times = sent / len(model)
    print(f"{len(found.machines)} machines, a model of {len(model) / 1e6:.1f} MB, {seconds:.0f} s in all")
    print(f"the hub gave {sent / 1e6:.1f} MB: {times:.3f} times its size")
    return times


def up(argv: Sequence[str], scratch: Path) -> float:
    """Seconds that `provision up` took; ends the benchmark where it failed."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "provisioner", "up", *argv, "--json"],
        env={**os.environ, "XDG_STATE_HOME": str(scratch)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in done.stderr.splitlines():
        if "from there" in line or "by itself" in line:
            print(line)
    if done.returncode != 0:
        said = json.loads(done.stdout)
        failed = [f"{host['name']}: {host['error']}" for host in said["hosts"] if host["exit_code"]]
        raise SystemExit("\n".join([f"provision up ended with {done.returncode}", *failed]))
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
