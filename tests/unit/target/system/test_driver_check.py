"""What proves a driver, and what is said when it does not work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import driver
from provisioner.target.system.driver_check import check, why
from provisioner.target.system.driver_headers import Kernel

from .boxes import FakeBox
from .test_driver_decide import GPU, seen
from .test_driver_look import NEXT, RELEASE, box, module

WANTS = {"version": "550.163.01"}
KERNELS = [Kernel(RELEASE, True, "", True)]
LIVE: dict[str, Any] = {
    "gpus": GPU,
    "loaded": "550.163.01",
    "answers": True,
    "running": RELEASE,
    "kernels": KERNELS,
}
GCC = "the compiler of the kernel, gcc-12, is not installed"
SHELL = "sh: 1: gcc-12: not found"
LOG = "/var/lib/dkms/nvidia-current/550.163.01/build/make.log"


def made(root: Path, version: str = "550.163.01", signer: str = "key") -> FakeBox:
    one = box(root)
    module(one, RELEASE, version)
    one.program("modinfo", lambda *words: (0, [{"signer": signer, "license": "NVIDIA"}[words[1]]])
                if words[1] != "version" else (0, [version]))  # fmt: skip
    return one


def test_a_driver_that_answers(tmp_path: Path) -> None:
    found = check(made(tmp_path).host, seen(**LIVE), WANTS, True)
    assert found == {
        "version": "550.163.01", "flavour": "proprietary", "signer": "key",
        "kernels": {RELEASE: "550.163.01"},
        "say": ["Driver 550.163.01 answers."],
    }  # fmt: skip


def test_a_driver_of_somebody_else_that_answers(tmp_path: Path) -> None:
    found = check(FakeBox(tmp_path).host, seen(**{**LIVE, "loaded": "535.1"}), WANTS, False)
    assert (found["version"], found["say"]) == ("535.1", ["Driver 535.1 answers."])


@pytest.mark.parametrize("elsewhere", [{"container": "docker"}, {"gpus": []}])
def test_a_driver_that_is_built_only(tmp_path: Path, elsewhere: dict[str, Any]) -> None:
    one = seen(**{**LIVE, "loaded": None, "answers": None, **elsewhere})
    found = check(made(tmp_path).host, one, WANTS, True)
    assert found["say"] == [f"Driver 550.163.01 is built for kernel {RELEASE}; nothing is loaded."]
    found = check(FakeBox(tmp_path / "x").host, seen(container="docker"), WANTS, True)
    assert (found["version"], found["say"]) == (
        None,
        ["There is no kernel with headers here: nothing was built."],
    )


FILE = f"/lib/modules/{RELEASE}/updates/dkms/nvidia-current.ko"
FAULTS: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "not loaded": ({"loaded": None, "answers": None}, {}, "no driver is loaded"),
    "half an upgrade": ({"loaded": "535.1"}, {}, "driver 535.1 is loaded, and 550.163.01 is installed"),
    "silent": (
        {"answers": False, "silence": "nvmlInit_v2 answered 18"}, {},
        "driver 550.163.01 is loaded and does not answer: nvmlInit_v2 answered 18",
    ),
    "another branch": ({}, {"version": "580.1"}, "driver 550.163.01 was installed where 580.1 was planned"),
    "unsigned": (
        {"secure_boot": True}, {},
        f"Secure Boot is on, and the driver's module is signed by nobody ({FILE})",
    ),
    "the next kernel": (
        {"kernels": [*KERNELS, Kernel(NEXT, True)]}, {}, f"kernel {NEXT} has no module of the driver"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("more", "wants", "message"), FAULTS.values(), ids=FAULTS)
def test_what_proves_that_it_does_not_work(
    tmp_path: Path, more: dict[str, Any], wants: dict[str, str], message: str
) -> None:
    with pytest.raises(TargetError) as caught:
        check(made(tmp_path, signer="").host, seen(**{**LIVE, **more}), {**WANTS, **wants}, True)
    assert caught.value.message == message


def test_what_dkms_says_comes_first(tmp_path: Path) -> None:
    one = made(tmp_path)
    log = f"DKMS make.log for nvidia-current-550.163.01 for kernel {NEXT} (x86_64)\n{SHELL}\n"
    one.write(LOG, log)
    expected = (
        f"dkms could not build nvidia-current/550.163.01 for kernel {NEXT}: {GCC} ({LOG}: {SHELL})",
        "install gcc-12, then run again",
    )
    with pytest.raises(TargetError) as caught:
        check(one.host, seen(**{**LIVE, "kernels": [*KERNELS, Kernel(NEXT, True)]}), WANTS, True)
    assert (caught.value.message, caught.value.hint) == expected
    assert tuple(why(one.host, "apt-get ended with 100 — see its log").values()) == expected
    # One that failed long before is not why apt has no such package today.
    os.utime(one.path(LOG), (1000.0, 1000.0))
    said = {"why": "apt is locked", "hint": "wait"}
    assert why(one.host, "apt is locked — wait", since=1001.0) == said
    request = {"said": "apt is locked — wait", "state": "/state"}
    assert driver.why(one.host, request) == said
    began = one.path("/state/saved/nvidia_driver/before")
    began.mkdir(parents=True)
    assert driver.why(one.host, request) == said
    os.utime(began, (999.0, 999.0))
    # The package that dkms works for goes with its log: what is named is a copy that stays.
    kept = "/state/jobs/packages-nvidia_driver/make.log"
    assert tuple(driver.why(one.host, request).values()) == (expected[0].replace(LOG, kept), expected[1])
    assert one.path(kept).read_text() == log


def test_why_without_dkms(tmp_path: Path) -> None:
    host = FakeBox(tmp_path).host
    assert why(host, "apt knows no nvidia-drivr — is the name right?") == {
        "why": "apt knows no nvidia-drivr",
        "hint": "is the name right?",
    }
    assert why(host, "") == {"why": "the driver could not be installed", "hint": ""}
    said = "dkms: Your kernel headers for kernel 6.1 cannot be found at /lib/modules"
    assert why(host, said)["why"] == f"the headers of kernel 6.1 are missing ({said})"
