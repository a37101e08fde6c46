"""A machine's process, whose number another one may have got since, and its end. The processes are ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.process import LabError
from tests.vm import host, image, machine
from tests.vm.machine import VirtualMachine

SLEEP = "import sys, time; print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "box"
    folder.mkdir()
    return folder


@pytest.fixture
def process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process whose command line names the console's log, as QEMU's does."""
    argv = [sys.executable, "-c", SLEEP, f"file:{home / 'console.log'}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
        started.kill()


def box(home: Path, pid: int) -> VirtualMachine:
    return VirtualMachine("box", "smt", 30001, home, pid)


def test_json_there_and_back(home: Path) -> None:
    assert VirtualMachine.from_json(box(home, 7).to_json()) == box(home, 7)


def test_its_end(home: Path, process: subprocess.Popen[str]) -> None:
    one = box(home, process.pid)
    assert one.running()
    one.destroy()
    assert not one.running()
    assert not home.exists()


def test_another_process_with_its_number_is_left_alone(home: Path, process: subprocess.Popen[str]) -> None:
    other = home.parent / "other"
    other.mkdir()
    one = box(other, process.pid)
    assert not one.running()
    one.destroy()
    assert process.poll() is None


def test_a_boot_that_ends_early_shows_the_console(home: Path) -> None:
    (home / "console.log").write_text("\x1b[2JKernel panic\n")
    (home / "qemu.log").write_text("qemu: bad option\n")
    with pytest.raises(LabError) as caught:
        box(home, 4194305).wait_ready(1)
    assert caught.value.message == "box (smt) ended while it booted"
    assert caught.value.hint == "[2JKernel panic\nqemu: bad option"


def test_a_boot_that_hangs_shows_the_console(
    home: Path, process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "console.log").write_text("Waiting for root device\n")
    monkeypatch.setattr(VirtualMachine, "_banner", lambda _self: False)
    with pytest.raises(LabError) as caught:
        box(home, process.pid).wait_ready(0.1)
    assert caught.value.message == "box (smt) does not answer at 127.0.0.1:30001 within 0.1 s"
    assert caught.value.hint == "Waiting for root device"


def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> VirtualMachine:
        raise LabError("no port")

    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(host, "require", lambda: None)
    monkeypatch.setattr(image, "ensure", lambda: None)
    monkeypatch.setattr(machine, "_start", fail)
    with pytest.raises(LabError, match="no port"):
        machine.up("smt", "box")
    assert machine.everything() == []
