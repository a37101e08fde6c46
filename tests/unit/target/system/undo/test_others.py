from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.observe import Observer
from provisioner.target.runtime.process import Done
from provisioner.target.system.command import Host
from provisioner.target.system.packages.base import Package
from provisioner.target.system.undo import others
from provisioner.target.system.undo.record import Item
from provisioner.target.system.undo.steps import Step, Way
from tests.unit.target.system.undo.undoing import Emulated

SYSTEMD = "etc/systemd/system"
PASSWD = "ann:x:1000:1000::/home/ann:/bin/bash\n"
CUDA = "manual\n/usr/local/cuda\n\n/usr/local/cuda-12.4\n124\n/usr/local/cuda-12.8\n128\n\n"


class Box:
    """A recorded box, and the programs that were started on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[str] = []
        self.fails = False
        for name in ("update-alternatives", "systemctl", "userdel", "gpasswd", "usermod"):
            self.write(f"usr/sbin/{name}", "").chmod(0o755)
        self.host = Host(str(root), self._run)

    def _run(self, argv: Sequence[str], env: Any, **_: Any) -> Done:
        self.started.append(" ".join(argv).removeprefix("/usr/sbin/"))
        return Done(1, ["it failed"]) if self.fails else Done(0, [])

    def write(self, path: str, text: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self.root / path

    def link(self, path: str, to: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).symlink_to(to)

    def undo(self, kind: str, then: dict[str, Any], left: dict[str, Any] | None, **resource: Any) -> Way:
        known = {"id": "r.x", "kind": kind, **resource}
        way = others.undo(self.host, Item("r", known, then, left), Observer(self.host.box).observe(known))
        for step in way.steps:
            step.act()
        return way


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def said(way: Way) -> tuple[list[str], list[tuple[str, str]]]:
    return [step.what for step in way.steps], [(kept.what, kept.why) for kept in way.kept]


ABSENT = {"state": "absent"}
OURS = {"state": "present", "mode": "manual", "value": "/usr/local/cuda-12.4"}


def alternative(box: Box) -> None:
    box.write("var/lib/dpkg/alternatives/cuda", CUDA)
    box.link("etc/alternatives/cuda", "/usr/local/cuda-12.4")


@pytest.mark.parametrize(
    ("then", "what", "started"),
    [
        (
            ABSENT,
            "remove the alternative cuda",
            ["update-alternatives --remove cuda /usr/local/cuda-12.4"],
        ),
        (
            {"state": "present", "mode": "auto", "value": "/x", "choices": ["/x"]},
            "let cuda stand for /x again",
            [
                "update-alternatives --remove cuda /usr/local/cuda-12.4",
                "update-alternatives --auto cuda",
            ],
        ),
        (
            {
                "state": "present",
                "mode": "manual",
                "value": "/usr/local/cuda-12.8",
                "choices": ["/usr/local/cuda-12.4", "/usr/local/cuda-12.8"],
            },
            "let cuda stand for /usr/local/cuda-12.8 again",
            ["update-alternatives --set cuda /usr/local/cuda-12.8"],
        ),
    ],
)
def test_an_alternative(box: Box, then: dict[str, Any], what: str, started: list[str]) -> None:
    alternative(box)
    assert said(box.undo("alternative", then, OURS, name="cuda")) == ([what], [])
    assert box.started == started


def test_an_alternative_that_somebody_has_set_since_stays(box: Box) -> None:
    alternative(box)
    left = {**OURS, "value": "/usr/local/cuda-12.8"}
    way = box.undo("alternative", ABSENT, left, name="cuda")
    assert said(way) == ([], [("alternative cuda", "it has been changed since")])
    assert box.started == []


@pytest.mark.parametrize(
    ("then", "now", "what", "started"),
    [
        ((False, False), "wants", "disable a.service", "systemctl disable a.service"),
        ((True, False), "", "enable a.service", "systemctl enable a.service"),
        ((False, True), "wants", "mask a.service", "systemctl mask a.service"),
        ((False, False), "masked", "unmask a.service", "systemctl unmask a.service"),
        ((False, False), "", None, None),
    ],
)
def test_a_unit(box: Box, then: tuple[bool, bool], now: str, what: str | None, started: str | None) -> None:
    box.write("usr/lib/systemd/system/a.service", "")
    if now == "wants":
        box.link(f"{SYSTEMD}/x.target.wants/a.service", "/usr/lib/systemd/system/a.service")
    if now == "masked":
        box.link(f"{SYSTEMD}/a.service", "/dev/null")
    before = {"state": "present", "enabled": then[0], "masked": then[1]}
    way = box.undo("unit", before, None, name="a.service")
    assert said(way) == ([what] if what else [], [])
    assert box.started == ([started] if started else [])


def test_a_running_system_stops_it_too(box: Box) -> None:
    (box.root / "run/systemd/system").mkdir(parents=True)
    box.write("usr/lib/systemd/system/a.service", "")
    box.link(f"{SYSTEMD}/x.target.wants/a.service", "/usr/lib/systemd/system/a.service")
    box.undo("unit", ABSENT, None, name="a.service")
    assert box.started == ["systemctl disable --now a.service"]


def test_an_account_goes_with_a_home_that_nobody_has_used(box: Box) -> None:
    box.write("etc/passwd", PASSWD)
    box.write("etc/skel/.bashrc", "x")
    box.write("home/ann/.bashrc", "x")
    way = box.undo("account", ABSENT, None, name="ann")
    assert said(way) == (["remove the account ann", "remove /home/ann"], [])
    assert box.started == ["userdel ann"]
    assert not (box.root / "home/ann").exists()


@pytest.mark.parametrize("used", [".bash_history", ".bashrc", "work/notes"])
def test_a_home_that_somebody_has_used_stays(box: Box, used: str) -> None:
    box.write("etc/passwd", PASSWD)
    box.write("etc/skel/.bashrc", "x")
    box.write(f"home/ann/{used}", "mine")
    steps, ((what, why),) = said(box.undo("account", ABSENT, None, name="ann"))
    assert (steps, what) == (["remove the account ann"], "/home/ann")
    assert why.startswith("it holds ")
    assert (box.root / "home/ann" / used).exists()


def test_an_account_that_was_there_leaves_groups_and_gets_its_shell(box: Box) -> None:
    box.write("etc/passwd", PASSWD)
    box.write("etc/group", "video:x:44:ann\nrender:x:105:ann\n")
    was = {
        "state": "present", "uid": 1000, "home": "/home/ann", "shell": "/bin/sh", "groups": ["video"],
    }  # fmt: skip
    way = box.undo("account", was, None, name="ann", groups=["video", "render"])
    assert said(way)[0] == ["take ann out of the group render", "give ann the shell /bin/sh again"]
    assert box.started == ["gpasswd -d ann render", "usermod -s /bin/sh ann"]


def test_a_program_that_fails_is_named(box: Box) -> None:
    box.write("etc/passwd", PASSWD)
    box.fails = True
    with pytest.raises(TargetError, match="userdel ann ended with 1: it failed"):
        box.undo("account", ABSENT, None, name="ann")


@pytest.mark.parametrize(
    ("then", "held", "there", "what", "ends"),
    [
        (ABSENT, True, True, ["let driver be upgraded again"], False),
        ({"state": "present"}, False, True, ["hold driver again"], True),
        (ABSENT, False, True, [], False),
        ({"state": "present"}, False, False, [], None),
    ],
)
def test_a_hold(then: dict[str, Any], held: bool, there: bool, what: list[str], ends: bool | None) -> None:
    manager = Emulated()
    if there:
        manager.packages["driver"] = Package("1", "amd64", held=held)
    now = {"state": "present"} if held else ABSENT
    way = others.hold(manager, Item("r", {"name": "driver"}, then, None), now)
    for step in way.steps:
        step.act()
    assert said(way) == (what, [])
    assert ("driver" in manager.packages and manager.packages["driver"].held) is bool(ends)


def test_a_hold_where_no_manager_is_known() -> None:
    assert said(others.hold(None, Item("r", {"name": "x"}, ABSENT, None), {"state": "present"})) == ([], [])


def test_an_installer_takes_off_what_it_put_there(box: Box) -> None:
    resource = {
        "id": "r.x", "kind": "file", "path": "/x", "undo": ["/usr/bin/nvidia-uninstall", "--silent"],
    }  # fmt: skip
    item = Item("r", resource, ABSENT, None)
    removed = Way([Step("r", "remove /x", 0, lambda: None)], [])
    way = others.by_its_own_way(box.host, item, removed)
    assert said(way)[0] == ["run /usr/bin/nvidia-uninstall --silent", "remove /x"]
    # One that was stopped in the middle has left no way back.
    way.steps[0].act()
    assert box.started == []
    box.write("usr/bin/nvidia-uninstall", "").chmod(0o755)
    way.steps[0].act()
    assert box.started == ["/usr/bin/nvidia-uninstall --silent"]
    box.fails = True
    with pytest.raises(TargetError, match="nvidia-uninstall --silent ended with 1: it failed"):
        way.steps[0].act()
    # Nothing to do, or nothing of an installer's: nothing is run.
    assert others.by_its_own_way(box.host, item, Way([], [])) == Way([], [])
    plain = Item("r", {key: resource[key] for key in ("id", "kind", "path")}, ABSENT, None)
    assert others.by_its_own_way(box.host, plain, removed) == removed
