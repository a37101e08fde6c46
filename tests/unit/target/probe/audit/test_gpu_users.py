from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe.audit import gpu_users
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]


def sight(box: Box, container: str | None = None) -> Sight:
    return Sight(box, {"os": {"container": container, "wsl": False}}, {})


def look(monkeypatch: pytest.MonkeyPatch, *nodes: Path, container: str | None = None) -> dict[str, Any]:
    """With some files in the place of the device files."""
    monkeypatch.setattr(gpu_users, "devices", lambda _box: {str(node) for node in nodes})
    box = Box()
    return gpu_users.gpu_processes(box, sight(box, container))


def test_who_has_a_gpu_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = tmp_path / "nvidia0"
    node.write_text("")
    code = "import sys; f = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(node)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        with node.open():  # this process does not count
            found = look(monkeypatch, node)
        child.communicate()
    assert found["state"] == "read"
    assert [(one["pid"], one["devices"]) for one in found["value"]] == [(child.pid, [str(node)])]
    assert found["value"][0]["name"].startswith("python")
    assert found["value"][0]["user"]


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.listdir

    def listdir(path: Any = ".") -> list[str]:
        if str(path).endswith("/fd"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)


def test_without_root_nobody_found_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refuse(monkeypatch)
    found = look(monkeypatch, tmp_path / "nvidia0")
    assert found["state"] == "hidden"
    assert "without root" in found["why"]


def test_a_machine_without_a_gpu_needs_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch)
    found = look(monkeypatch)
    assert (found["state"], found["value"]) == ("read", [])


def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.listdir

    def listdir(path: Any = ".") -> list[str]:
        try:
            return real(path)
        except PermissionError:
            return []

    monkeypatch.setattr(os, "listdir", listdir)


def test_a_container_sees_its_own_processes_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_root(monkeypatch)
    found = look(monkeypatch, tmp_path / "nvidia0", container="docker")
    assert (found["state"], found["why"]) == ("hidden", "a container sees its own processes only")
    assert look(monkeypatch, tmp_path / "nvidia0")["value"] == []


def test_the_look_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_users, "OPEN", -1)
    found = look(monkeypatch, tmp_path / "nvidia0")
    assert (found["state"], found["why"]) == ("hidden", "there are more than -1 open files")


def test_which_devices_are_nvidias(plant: Plant) -> None:
    own = {f"/dev/{name}" for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "dri/renderD129", "dri/card1")}
    others = ("nvidia-caps/", "null", "dri/renderD128", "dri/by-path/")
    vendors = {"renderD128": "0x8086\n", "renderD129": "0x10de\n", "card1": "0x10de\n"}
    root = plant(
        {
            **dict.fromkeys(own, ""),
            **{f"/dev/{name}": "" for name in others},
            **{f"/sys/class/drm/{name}/device/vendor": vendor for name, vendor in vendors.items()},
        }
    )
    assert gpu_users.devices(Box(str(root))) == own


def test_a_recorded_tree_has_no_processes(plant: Plant) -> None:
    box = Box(str(plant({"/dev/nvidia0": ""})))
    assert gpu_users.gpu_processes(box, sight(box))["state"] == "hidden"
