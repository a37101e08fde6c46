"""A driver whose packages have gone stays in memory until the machine is restarted, which is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.probe.observe import Observer
from provisioner.target.system.packages.base import Change, Wanted
from provisioner.target.system.undo.packages import Undone
from provisioner.target.system.undo.plan import RolePlan, Whole, restart
from provisioner.target.system.undo.record import Record
from provisioner.target.system.undo.steps import way
from tests.unit.target.system.boxes import CONTAINER, FakeBox
from tests.unit.target.system.test_driver_look import RELEASE, box, module

LOADED = {"/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  x\n"}
IN_MEMORY = "the NVIDIA module in memory is 550.163.01"


def why(machine: FakeBox, role: str = "nvidia_driver") -> str | None:
    undone = Undone(role, Wanted(), Change({}, {}, {}), {}, {}, [])
    one = RolePlan(Record(role, "/state", []), way(), undone, [], {})
    return restart(Observer(machine.host.box), Whole([one], True, None), machine.host)


def test_a_module_without_its_packages(tmp_path: Path) -> None:
    machine = box(tmp_path, LOADED)
    assert why(machine) == IN_MEMORY
    assert why(machine, "cuda_toolkit") is None


@pytest.mark.parametrize(("version", "said"), [("550.163.01", None), ("535.1", IN_MEMORY)])
def test_a_module_against_the_one_that_is_back(tmp_path: Path, version: str, said: str | None) -> None:
    machine = box(tmp_path, LOADED)
    module(machine, RELEASE, version)
    assert why(machine) == said


def test_a_container_sees_the_module_of_its_host(tmp_path: Path) -> None:
    machine = box(tmp_path, {**LOADED, "/proc/self/mountinfo": CONTAINER, "/.dockerenv": ""})
    assert why(machine) is None


def test_where_none_is_loaded_none_is_in_memory(tmp_path: Path) -> None:
    assert why(box(tmp_path)) is None
