"""A job that the kernel really ends for its memory, in a control group made for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT = 96 << 20
TOP = Path("/sys/fs/cgroup")

HUNGRY = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
Path(sys.argv[2], "cgroup.procs").write_text(str(os.getpid()))
from provisioner.target.errors import TargetError
from provisioner.target.runtime import jobs, smoke
held = []
def eat(spec, context):
    while True:
        held.append(bytearray(os.urandom(1 << 20)))
smoke.apply = eat
wish = {"job": "smoke", "name": "s", "spec": {"smaller": "gemma3-270m"}, "dirs": {"state": sys.argv[3]}}
try:
    jobs.main(wish)
except TargetError as error:
    print(json.dumps([error.message, error.hint]))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    version_1 = (TOP / "memory").is_dir()
    folder = (TOP / "memory" if version_1 else TOP) / f"provision-test-{os.getpid()}"
    try:
        folder.mkdir()
        limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") if version_1 else ("memory.max",)
        for name in limits:
            if (folder / name).exists():
                (folder / name).write_text(str(LIMIT))
        if not version_1:
            (folder / "memory.swap.max").write_text("0")
        assert (folder / limits[0]).read_text().strip() == str(LIMIT)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    folder.rmdir()


def test_it_is_recognised_at_once_and_answered(group: Path, tmp_path: Path) -> None:
    tree = str(Path(__file__).parents[4])
    done = subprocess.run(
        [sys.executable, "-c", HUNGRY, tree, str(group), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout) == [
        "the control group's limit of 101 MB does not suffice for the job smoke",
        "take the next smaller: provision up --profile gemma3-270m",
    ], done.stderr
