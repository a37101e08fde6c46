"""Loading a driver: with a restart only where something is in the way, which is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import driver, driver_load, driver_look
from provisioner.target.system.driver_headers import Kernel
from provisioner.target.system.driver_load import load

from .boxes import FakeBox
from .test_driver_decide import seen
from .test_driver_look import CARD, NEXT, RELEASE, box, module

VERSION = "/proc/driver/nvidia/version"
NVRM = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Wed Jan  1\n"


class EmulatedMachine:
    """Its modprobe loads and unloads; `keeps` are modules that do not let go, `fails` what it says else."""

    def __init__(self, root: Path, there: str = "550.163.01", running: str = RELEASE) -> None:
        self.box: FakeBox = box(root)
        module(self.box, RELEASE, there)
        self.there, self.loaded, self.keeps, self.fails = there, [""], "", ""
        self.running = running
        for name, does in (("modprobe", self.modprobe), ("systemctl", self.systemctl)):
            self.box.program(name, does)
        self.box.program("dmesg", lambda: (0, self.kernel))
        self.kernel: list[str] = []
        self.units = {"nvidia-persistenced"}
        self.loaded = []

    def put(self, *names: str, version: str = "") -> None:
        self.loaded += names
        self.box.write("/proc/modules", "".join(f"{name} 1 0 - Live 0x0\n" for name in self.loaded))
        if "nvidia" in self.loaded:
            self.box.write(VERSION, NVRM % (version or self.there))

    def modprobe(self, *words: str) -> tuple[int, list[str]]:
        if words[0] == "-r":
            if self.keeps in words:
                return 1, [f"modprobe: FATAL: Module {self.keeps} is in use."]
            self.loaded = [name for name in self.loaded if name not in words]
            self.box.path(VERSION).unlink(missing_ok=True)
            self.put()
        elif self.fails:
            return 1, [self.fails]
        else:
            self.put(words[0].replace("-", "_"))
        return 0, []

    def systemctl(self, *words: str) -> tuple[int, list[str]]:
        return (0 if words[-1] in self.units else 3), []

    def load(self, check: bool = False, extra: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        kernels = [Kernel(self.running, True, "", True), Kernel(RELEASE, True)]
        return load(
            self.box.host, seen(running=self.running, kernels=kernels, gpus=["x"], **more), extra, check
        )


def test_it_is_loaded_with_what_goes_along(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    answer = {"changed": True, "loaded": "550.163.01", "reboot": ""}
    assert machine.load(check=True) == {**answer, "loaded": None}
    assert machine.box.ran == []
    assert machine.load(extra=("ib_umad",)) == answer
    assert machine.box.ran == ["modprobe nvidia", "modprobe nvidia_uvm", "modprobe ib_umad"]
    assert machine.load(extra=("ib_umad",), loaded="550.163.01") == {**answer, "changed": False}
    assert len(machine.box.ran) == 3


def test_nouveau_goes_where_nobody_uses_it(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.put("nouveau")
    assert machine.load(nouveau="loaded")["reboot"] == ""
    assert machine.box.ran == ["modprobe -r nouveau", "modprobe nvidia", "modprobe nvidia_uvm"]


@pytest.mark.parametrize(
    ("modules", "keeps", "nouveau", "why"),
    [
        ("nouveau 1 2 - Live 0x0\n", "", "loaded", "nouveau is in use by the console"),
        ("", "", "built-in", "nouveau is part of the kernel, and holds the GPU"),
        (
            "nouveau 1 0 - Live 0x0\n", "nouveau", "loaded",
            "nouveau cannot be unloaded (modprobe: FATAL: Module nouveau is in use.)",
        ),
    ],
)  # fmt: skip
def test_nouveau_that_stays(tmp_path: Path, modules: str, keeps: str, nouveau: str, why: str) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.box.write("/proc/modules", modules)
    machine.keeps = keeps
    assert machine.load(nouveau=nouveau) == {"changed": False, "loaded": None, "reboot": why}
    assert "modprobe nvidia" not in machine.box.ran


def test_an_older_driver_makes_way(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.put("nvidia", "nvidia_uvm", version="535.1")
    assert machine.load(loaded="535.1") == {"changed": True, "loaded": "550.163.01", "reboot": ""}
    assert machine.box.ran == [
        "systemctl is-active --quiet nvidia-persistenced",
        "systemctl is-active --quiet nvidia-fabricmanager",
        "systemctl stop nvidia-persistenced",
        "modprobe -r nvidia_uvm nvidia",
        "modprobe nvidia",
    ]


def test_an_older_driver_that_is_used_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = ["Xorg (process 812)", "a (process 1)", "b (process 2)", "c (process 3)"]
    monkeypatch.setattr(driver_look, "users", lambda _box: users)
    machine = EmulatedMachine(tmp_path)
    machine.put("nvidia", version="535.1")
    assert machine.load(loaded="535.1")["reboot"] == (
        "driver 535.1 is loaded and used by Xorg (process 812), a (process 1), b (process 2) and 1 more"
    )
    # What was stopped for it runs again.
    assert machine.box.ran[-1] == "systemctl start nvidia-persistenced"


def test_an_older_driver_that_does_not_let_go(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.put("nvidia", "nvidia_drm", version="535.1")
    machine.keeps = "nvidia_drm"
    assert machine.load(loaded="535.1")["reboot"] == (
        "driver 535.1 is loaded and cannot be unloaded (modprobe: FATAL: Module nvidia_drm is in use.)"
    )


def test_it_was_built_for_the_next_kernel(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path, running=NEXT)
    why = f"the driver was built for kernel {RELEASE}, and {NEXT} runs"
    assert machine.load() == {"changed": False, "loaded": None, "reboot": why}


def test_it_was_built_for_no_kernel(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.box.path(f"/lib/modules/{RELEASE}/modules.dep").write_text("")
    with pytest.raises(TargetError, match=r"kernel .* has no module of it"):
        machine.load()
    assert machine.load(check=True)["changed"]


REFUSALS: dict[str, tuple[str, list[str], str]] = {
    "Secure Boot": (
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service", [],
        "Secure Boot does not trust the key that its modules are signed with",
    ),
    "open modules only": (
        "modprobe: ERROR: could not insert 'nvidia': No such device",
        ["[ 1.0] NVRM: installed in this system requires use of the NVIDIA open kernel modules."],
        "this GPU runs with the open kernel modules only",
    ),
    "a GPU that is too old": (
        "modprobe: ERROR: could not insert 'nvidia': No such device",
        ["[ 1.0] NVRM: installed in this system is supported through the NVIDIA 470.xx Legacy drivers."],
        "this GPU is none that the branch serves",
    ),
    "another kernel": (
        "modprobe: ERROR: could not insert 'nvidia': Exec format error", [],
        "its modules were built for another kernel",
    ),
    "no GPU": (
        "modprobe: ERROR: could not insert 'nvidia': No such device", [], "it finds no GPU that it serves"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "kernel", "why"), REFUSALS.values(), ids=REFUSALS)
def test_what_does_not_load(tmp_path: Path, said: str, kernel: list[str], why: str) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.fails, machine.kernel = said, kernel
    with pytest.raises(TargetError) as caught:
        machine.load()
    shown = kernel[0].partition("] ")[2] if kernel else said
    assert caught.value.message == f"module nvidia does not load: {why} ({shown})"


def test_what_does_not_load_and_nobody_knows(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.fails, machine.kernel = "modprobe: oddity", ["[ 1.0] NVRM: one", "[ 2.0] usb: two"]
    with pytest.raises(TargetError) as caught:
        machine.load()
    assert caught.value.message == "module nvidia does not load: modprobe: oddity | NVRM: one"


def test_the_kernel_has_another_version(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.there = "535.1"
    with pytest.raises(TargetError, match=r"550\.163\.01 was loaded, and the kernel says that it has 535\.1"):
        machine.load()
    assert driver_load.SERVICES


KEPT = "cannot be unloaded (modprobe: FATAL: Module nvidia is in use.)"


@pytest.mark.parametrize(
    ("before", "keeps", "fails", "now"),
    [
        ("", "", "", "what was there before is back"),
        ("550.163.01", "", "", "driver 550.163.01 is back, and loaded"),
        (
            "550.163.01", "", "modprobe: oddity",
            "driver 550.163.01 is back, and does not load (module nvidia does not load: modprobe: oddity)",
        ),
        (
            "550.163.01", "nvidia", "",
            f"driver 550.163.01 is back, and works after a restart (driver 580.1 is loaded and {KEPT})",
        ),
    ],
)  # fmt: skip
def test_the_driver_from_before(tmp_path: Path, before: str, keeps: str, fails: str, now: str) -> None:
    machine = EmulatedMachine(tmp_path)
    machine.keeps, machine.fails = keeps, fails
    if keeps:
        machine.put("nvidia", version="580.1")
    assert driver.again(machine.box.host, {"loaded": before})["now"] == now


def test_the_driver_from_before_a_restart(tmp_path: Path) -> None:
    machine = EmulatedMachine(tmp_path)
    for path, text in CARD.items():
        machine.box.write(path, text)
    told = driver.again(machine.box.host, {"loaded": ""})["now"]
    assert told == "driver 550.163.01 is back, and loaded"
    machine = EmulatedMachine(tmp_path / "none")
    machine.box.path(f"/lib/modules/{RELEASE}/updates/dkms/nvidia-current.ko").unlink()
    for path, text in CARD.items():
        machine.box.write(path, text)
    assert driver.again(machine.box.host, {"loaded": ""})["now"] == "what was there before is back"
