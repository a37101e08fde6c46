"""Folders of runs: gone with the run, or with the next one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioner.engine.scratch import private_dir, sweep

RUN = """
import time
from provisioner.engine.scratch import private_dir
with private_dir() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_it_is_private_and_goes_with_the_run(runtime: Path) -> None:
    with private_dir() as folder:
        assert (folder.parent, folder.stat().st_mode & 0o777) == (runtime, 0o700)
        (folder / "secret").write_text("x")
    assert list(runtime.iterdir()) == []


def test_a_killed_run_s_folder_goes_with_the_next_run_and_a_living_one_s_does_not(runtime: Path) -> None:
    later = time.time() + 100
    run = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
    assert run.stdout
    folder = Path(run.stdout.readline().strip())
    assert folder.parent == runtime
    assert sweep(runtime, later) == [], "it lives"
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert sweep(runtime) == [], "it is young"
    (runtime / "provision-run-without-lock").mkdir()
    (runtime / "provision-else").mkdir()
    assert sweep(runtime, later) == [folder]
    assert not folder.exists()
    shutil.rmtree(runtime / "provision-else")


def test_where_nothing_may_be_started_is_no_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ansible is started through a script in the folder."""
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(elsewhere))
    real = os.statvfs(tmp_path)
    fields = [*real[:8], real.f_flag | os.ST_NOEXEC, *real[9:]]
    monkeypatch.setattr("os.statvfs", lambda _: os.statvfs_result(fields))
    with private_dir() as folder:
        assert folder.parent == elsewhere
