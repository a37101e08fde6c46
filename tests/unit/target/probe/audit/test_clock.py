from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe.audit.clock import (
    CHIP,
    RECORDED,
    Timex,
    controller,
    newest_package,
    of_windows,
    section,
    synchronized,
)
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]


def sight(box: Box) -> Sight:
    return Sight(box, {"os": {"container": None, "wsl": False}}, {})


class Library:
    """Stands in for the C library: answers with a status, or fails."""

    def __init__(self, status: int = 0, error: int = 0) -> None:
        self.status, self.error = status, error

    def adjtimex(self, pointer: Any) -> int:
        found: Timex = pointer._obj
        assert found.modes == 0, "a clock that is read must not be set"
        if self.error:
            ctypes.set_errno(self.error)
            return -1
        found.status = self.status
        return 5


@pytest.mark.parametrize(
    ("status", "value"), [(0, True), (0x1, True), (0x2001, True), (0x40, False), (0x2041, False)]
)
def test_what_the_kernel_says_of_the_clock(status: int, value: bool) -> None:
    found = synchronized(Library(status))
    assert (found["state"], found["value"], found["source"]) == ("read", value, "adjtimex()")


def test_a_kernel_that_refuses() -> None:
    found = synchronized(Library(error=errno.EPERM))
    assert (found["state"], found["value"], found["why"]) == ("hidden", None, "Operation not permitted")


def test_a_library_without_the_call() -> None:
    found = synchronized(object())
    assert found["state"] == "hidden"
    assert "adjtimex" in found["why"]


def test_the_last_change_of_a_package_database(plant: Plant) -> None:
    root = plant({"/var/lib/dpkg/status": "x", "/etc/os-release": "ID=debian\n", "/var/lib/rpm/": ""})
    os.utime(root / "var/lib/dpkg/status", (1, 2000.5))
    os.utime(root / "etc/os-release", (1, 1000))
    found = newest_package(Box(str(root)))
    assert (found["state"], found["value"], found["source"]) == ("read", 2000.5, "/var/lib/dpkg/status")


def test_a_system_without_one(plant: Plant) -> None:
    assert newest_package(Box(str(plant({}))))["state"] == "absent"


def test_a_database_that_may_not_be_looked_at(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(str(plant({})))

    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refused)
    found = newest_package(box)
    assert (found["state"], found["why"]) == ("hidden", "/usr/lib/os-release: Permission denied")


def test_the_clock_of_this_machine() -> None:
    box = Box()
    found = section(box, sight(box))
    assert found["now"]["state"] == "read"
    assert abs(found["now"]["value"] - time.time()) < 60
    assert found["synchronized"]["state"] in ("read", "hidden")
    assert found["newest_package"]["value"] > 10**9


def test_a_recorded_tree_has_no_clock(plant: Plant) -> None:
    box = Box(str(plant({"/etc/os-release": "ID=debian\n"})))
    assert {reading["why"] for reading in section(box, sight(box)).values()} == {RECORDED}


def test_the_clock_of_who_asked_comes_back_as_it_was_sent(plant: Plant) -> None:
    box = Box("/")
    said = Sight(box, {"os": {"container": None, "wsl": False}}, {"now": 1.5})
    assert section(box, said)["controller"] == {
        "state": "read", "value": 1.5, "why": "", "source": "the request", "offset": None,
    }  # fmt: skip
    assert section(box, sight(box))["controller"]["state"] == "hidden"


@pytest.mark.parametrize(
    ("asked", "here", "state"),
    [("x", "x", "absent"), ("x", "y", "read"), ("", "", "read"), (None, "", "read")],
)
def test_a_machine_that_asks_itself_learns_nothing_of_its_clock(asked: Any, here: str, state: str) -> None:
    facts = {"os": {"container": None, "wsl": False, "boot": here}}
    assert controller(Sight(Box("/"), facts, {"now": 1.5, "boot": asked}))["state"] == state


@pytest.mark.parametrize(
    ("files", "state", "value"),
    [
        ({CHIP: "1772952470\n"}, "read", 1772952470.0),
        ({CHIP: "soon\n"}, "error", None),
        ({}, "hidden", None),
    ],
)
def test_the_chip_that_windows_shows_emulated(
    plant: Plant, files: dict[str, str], state: str, value: float | None
) -> None:
    found = of_windows(Box(str(plant(files))))
    assert (found["state"], found["value"], found["source"]) == (state, value, CHIP)


@pytest.mark.parametrize(
    ("wsl", "boot", "source"), [(True, "x", CHIP), (True, "y", "the request"), (False, "x", "the request")]
)
def test_wsl_that_asks_itself_compares_with_the_chip_emulated(wsl: bool, boot: str, source: str) -> None:
    facts = {"os": {"container": None, "wsl": wsl, "boot": "x"}}
    assert (
        section(Box("/"), Sight(Box("/"), facts, {"now": 1.5, "boot": boot}))["controller"]["source"]
        == source
    )
