"""Modules that are in the kernel; sysfs is emulated by files."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import live
from provisioner.target.system.live import Memory, Outcome

from .boxes import FakeBox
from .kernels import boot, load, machine

STATE = "/var/lib/provisioner"


@pytest.fixture
def box(tmp_path: Path) -> FakeBox:
    box = machine(tmp_path)
    box.program("modprobe")
    return box


def run(box: FakeBox, wanted: dict[str, str], check: bool = False) -> Outcome:
    memory = Memory(box.host, STATE)
    outcome = live.parameters(box.host, "kvm-intel", "kvm_intel", wanted, memory, check)
    if not check:
        memory.keep([f"kvm_intel.{name}" for name in wanted])
    return outcome


NOTHING = Outcome([], [])
IN_USE = Outcome(["nested=1 of module kvm_intel, which is in use"], [])


def test_a_module_that_is_not_loaded_will_be_told(box: FakeBox) -> None:
    assert run(box, {"nested": "1"}) == NOTHING


def test_what_is_so_already(box: FakeBox) -> None:
    load(box, "kvm_intel", {"nested": "Y"}, used=3)
    assert run(box, {"nested": "1"}) == NOTHING
    assert box.ran == []


def test_what_the_kernel_lets_change_is_changed(box: FakeBox) -> None:
    load(box, "kvm_intel", {"ple_gap": "64"}, used=3, mode=0o644)
    said = Outcome([], ["kvm_intel.ple_gap was set to 128 in the running kernel"])
    assert run(box, {"ple_gap": "128"}, check=True) == said
    assert box.read("/sys/module/kvm_intel/parameters/ple_gap") == "64\n"
    assert run(box, {"ple_gap": "128"}) == said
    assert (box.read("/sys/module/kvm_intel/parameters/ple_gap"), run(box, {"ple_gap": "128"})) == (
        "128",
        NOTHING,
    )


def test_a_module_that_nobody_uses_is_loaded_anew(box: FakeBox) -> None:
    load(box, "kvm_intel", {"nested": "N"})
    box.program("modprobe", lambda *argv: reload(box, argv))
    said = Outcome([], ["module kvm_intel was loaded anew with nested"])
    assert run(box, {"nested": "1"}, check=True) == said
    assert box.ran == []
    assert run(box, {"nested": "1"}) == said
    assert box.ran == ["modprobe -r kvm-intel", "modprobe kvm-intel"]
    assert run(box, {"nested": "1"}) == NOTHING


def reload(box: FakeBox, argv: tuple[str, ...]) -> tuple[int, list[str]]:
    if argv[0] != "-r":
        file = box.path("/sys/module/kvm_intel/parameters/nested")
        file.unlink()
        load(box, "kvm_intel", {"nested": "Y"})
    return 0, []


def bound(box: FakeBox) -> None:
    folder = box.path("/sys/module/kvm_intel/drivers/pci:x")
    folder.mkdir(parents=True)
    (folder / "0000:01:00.0").symlink_to("../device")


@pytest.mark.parametrize("why", ["references", "device", "holder", "refuses"])
def test_a_module_in_use_waits_for_a_restart(box: FakeBox, why: str) -> None:
    load(box, "kvm_intel", {"nested": "N"}, used=3 if why == "references" else 0)
    if why == "device":
        bound(box)
    if why == "holder":
        box.write("/sys/module/kvm_intel/holders/kvm_user", "")
    if why == "refuses":
        box.program("modprobe", lambda *_: (1, ["modprobe: FATAL: Module kvm_intel is in use."]))
    first = run(box, {"nested": "1"})
    assert first.restart == IN_USE.restart
    # In the same boot it goes on waiting; after the restart it must hold.
    assert run(box, {"nested": "1"}).restart == IN_USE.restart
    boot(box, "second")
    box.path("/sys/module/kvm_intel/parameters/nested").unlink()
    load(box, "kvm_intel", {"nested": "Y"}, used=3)
    assert run(box, {"nested": "1"}) == NOTHING


def test_a_restart_that_did_not_help_is_an_error(box: FakeBox) -> None:
    load(box, "kvm_intel", {"nested": "N"}, used=3)
    run(box, {"nested": "1"})
    boot(box, "second")
    with pytest.raises(TargetError) as caught:
        run(box, {"nested": "1"})
    assert caught.value.message == (
        "module kvm_intel runs with nested=N after the restart, though modprobe is told 1"
    )


def test_what_somebody_changed_later_is_no_such_error(box: FakeBox) -> None:
    load(box, "kvm_intel", {"nested": "N"}, used=3)
    run(box, {"nested": "1"})
    file = box.path("/sys/module/kvm_intel/parameters/nested")
    file.unlink()
    for value, expected in (("Y", NOTHING), ("N", IN_USE)):
        boot(box, f"boot with {value}")
        file.unlink(missing_ok=True)
        load(box, "kvm_intel", {"nested": value}, used=3)
        assert run(box, {"nested": "1"}) == expected


def test_a_parameter_that_is_not_shown_is_told_once(box: FakeBox) -> None:
    load(box, "kvm_intel", {}, used=3)
    assert run(box, {"nested": "1"}) == IN_USE
    assert run(box, {"nested": "1"}) == IN_USE
    boot(box, "second")
    assert run(box, {"nested": "1"}) == NOTHING
    assert run(box, {"nested": "0"}).restart == ["nested=0 of module kvm_intel, which is in use"]


def test_nvidia_tells_its_parameters_elsewhere(box: FakeBox) -> None:
    load(box, "nvidia", {}, used=3)
    box.write("/proc/driver/nvidia/params", "PreserveVideoMemoryAllocations: 1\n")
    memory = Memory(box.host, STATE)
    wanted = {"NVreg_PreserveVideoMemoryAllocations": "1"}
    assert live.parameters(box.host, "nvidia-current", "nvidia", wanted, memory, False) == NOTHING


def test_a_module_that_does_not_come_back_is_an_error(box: FakeBox) -> None:
    load(box, "kvm_intel", {"nested": "N"})
    box.program(
        "modprobe", lambda *argv: (0, []) if argv[0] == "-r" else (1, ["modprobe: ERROR: Invalid argument"])
    )
    with pytest.raises(
        TargetError, match="modprobe kvm-intel ended with 1: modprobe: ERROR: Invalid argument"
    ):
        run(box, {"nested": "1"})


def out(box: FakeBox, names: list[str], check: bool = False) -> Outcome:
    memory = Memory(box.host, STATE)
    outcome = live.blacklisted(box.host, names, memory, check)
    if not check:
        memory.keep(["blacklist." + name for name in names])
    return outcome


def test_a_blacklisted_module_goes_when_nobody_uses_it(box: FakeBox) -> None:
    load(box, "nouveau", {})
    assert out(box, ["nouveau"], check=True) == Outcome([], ["module nouveau was unloaded"])
    assert box.ran == []
    assert out(box, ["nouveau"]) == Outcome([], ["module nouveau was unloaded"])
    assert box.ran == ["modprobe -r nouveau"]


def test_a_blacklisted_module_in_use_goes_with_a_restart(box: FakeBox) -> None:
    load(box, "nouveau", {}, used=1)
    waits = Outcome(["module nouveau is in use and goes with the next start"], [])
    assert [out(box, ["nouveau"]), out(box, ["nouveau"])] == [waits, waits]
    boot(box, "second")
    with pytest.raises(TargetError, match="nouveau is loaded after the restart, though it is blacklisted"):
        out(box, ["nouveau"])
    box.path("/sys/module/nouveau/refcnt").unlink()
    assert out(box, ["nouveau"]) == NOTHING
