from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.box import Box
from provisioner.target.system.packages.base import Change, Package, Wanted
from provisioner.target.system.packages.store import Store
from provisioner.target.system.undo import packages
from provisioner.target.system.undo.packages import needed_by
from tests.unit.target.system.undo.undoing import Emulated, Role, told


def planted(folder: Path, status: str) -> Box:
    """A box whose dpkg has this status."""
    (folder / "var/lib/dpkg").mkdir(parents=True)
    (folder / "var/lib/dpkg/status").write_text(status)
    return Box(str(folder))


@pytest.fixture
def role(tmp_path: Path) -> Role:
    role = Role(tmp_path, "nvidia_driver")
    role.begin()
    return role


def change(role: Role, manager: Emulated, new: dict[str, str | None], *, settle: bool = True) -> None:
    """What a role's change of packages comes to: a version is installed, None removed."""
    store = Store(str(role.state), role.name, manager)
    there = manager.packages
    store.begin(
        Change(
            {name: version for name, version in new.items() if version and name not in there},
            {
                name: (there[name].version, version)
                for name, version in new.items()
                if version and name in there
            },
            {name: there[name].version for name, version in new.items() if version is None},
        )
    )
    for name, version in new.items():
        if version is None:
            del manager.packages[name]
        else:
            manager.left.discard(name)
            manager.packages[name] = Package(version, "amd64")
    if settle:
        store.settle()


def test_exactly_what_came_goes_and_what_was_replaced_comes_back(role: Role) -> None:
    manager = Emulated(libc="1", old="5", other="9")
    manager.mark(["libc"], auto=True)
    manager.hold(["old"], held=True)
    was = dict(manager.packages)
    change(role, manager, {"driver": "550", "libc": "2", "old": None})
    manager.hold(["driver"], held=True)
    role.done()
    steps, kept = told(role.undo(manager))
    assert (steps, kept) == (
        [
            "remove the packages driver 550",
            "put back the packages libc 1 (now 2), old 5",
            "mark packages as they were: libc",
        ],
        [],
    )
    assert manager.packages == was
    assert not role.state.exists()


def test_configuration_that_was_there_before_its_package_stays(role: Role) -> None:
    manager = Emulated()
    manager.left = {"chrony"}
    change(role, manager, {"chrony": "4", "driver": "550"})
    role.done()
    assert told(role.undo(manager)) == (["remove the packages chrony 4, driver 550"], [])
    assert (manager.packages, manager.left) == ({}, {"chrony"})


def test_configuration_that_is_left_over_goes_too(role: Role) -> None:
    manager = Emulated()
    manager.left = {"chrony"}
    change(role, manager, {"chrony": "4", "driver": "550"})
    role.done()
    # Cut off between the packages and what they left, or removed by somebody who did not purge.
    manager.packages, manager.left = {}, {"chrony", "driver"}
    assert told(role.undo(manager)) == (["remove what is left of the configuration of driver"], [])
    assert manager.left == {"chrony"}


@pytest.mark.parametrize(
    ("left", "now", "why"),
    [
        ("2", "3", "it is 3 by now, and provision left 2"),
        ("2", None, "it has been removed since"),
        (None, "3", "it is 3 by now, and provision left none"),
    ],
)
def test_what_somebody_has_replaced_since_stays(
    role: Role, left: str | None, now: str | None, why: str
) -> None:
    manager = Emulated(libc="1")
    change(role, manager, {"libc": left, "driver": "550"})
    role.done()
    manager.packages.pop("libc", None)
    if now:
        manager.packages["libc"] = Package(now, "amd64")
    was = {name: package for name, package in manager.packages.items() if name == "libc"}
    assert told(role.undo(manager)) == (["remove the packages driver 550"], [("the package libc", why)])
    assert manager.packages == was


def test_what_somebody_has_put_back_himself_is_as_it_was(role: Role) -> None:
    manager = Emulated(libc="1")
    change(role, manager, {"libc": "2", "driver": "550"})
    role.done()
    manager.packages["libc"] = Package("1", "amd64")
    assert told(role.undo(manager)) == (["remove the packages driver 550"], [])


def test_of_an_own_package_that_was_upgraded_since_all_goes(role: Role) -> None:
    manager = Emulated()
    change(role, manager, {"driver": "550"})
    role.done()
    manager.packages["driver"] = Package("560", "amd64")
    assert told(role.undo(manager)) == (["remove the packages driver 560"], [])
    assert manager.packages == {}


@pytest.mark.parametrize("to", ["prior", "before"])
def test_a_change_that_was_cut_off_is_taken_back(role: Role, to: str) -> None:
    manager = Emulated(libc="1")
    was = dict(manager.packages)
    change(role, manager, {"driver": "550", "libc": "2"}, settle=False)
    role.undo(manager, to=to)
    assert manager.packages == was


def test_the_way_back_of_one_change_ends_where_it_began(role: Role) -> None:
    manager = Emulated()
    change(role, manager, {"driver": "535"})
    role.done()
    role.begin()
    change(role, manager, {"driver": "550"}, settle=False)
    role.undo(manager, to="before")
    assert manager.packages == {"driver": Package("535", "amd64")}
    role.undo(manager)
    assert manager.packages == {}


def test_an_earlier_change_is_not_forgotten_by_the_way_back_of_a_later_one(role: Role) -> None:
    manager = Emulated(driver="535")
    # It came to its end, and the role stopped before its receipt.
    change(role, manager, {"driver": "550"})
    role.begin()
    role.undo(manager, to="before")
    assert manager.packages["driver"].version == "550"
    role.undo(manager)
    assert manager.packages == {"driver": Package("535", "amd64")}
    assert not role.state.exists()


def test_only_marks_differ(role: Role) -> None:
    manager = Emulated(libc="1")
    manager.mark(["libc"], auto=True)
    Store(str(role.state), role.name, manager).note(["libc"])
    manager.mark(["libc"], auto=False)
    Store(str(role.state), role.name, manager).settle()
    assert told(role.undo(manager))[0] == ["mark packages as they were: libc"]
    assert manager.packages["libc"].auto is True
    assert manager.asked == []


def test_what_somebody_else_needs_is_refused_by_name(
    role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = "Package: mine\nDepends: foo, driver (>= 5) | other\n\nPackage: driver\n"
    box = planted(tmp_path / "root", status)
    monkeypatch.setattr(packages, "Box", lambda: box)
    manager = Emulated()
    change(role, manager, {"driver": "550"})
    role.done()
    manager.packages["mine"] = Package("1", "amd64")
    manager.needs["mine"] = ["driver"]
    whole = role.undo(manager)
    assert whole.refused == [
        "mine 1, which provision did not install, would be removed together with driver, which it needs"
    ]
    assert sorted(manager.packages) == ["driver", "mine"]
    with pytest.raises(TargetError, match="mine 1"):
        packages.transact(manager, str(role.state), role.name, "prior")


def test_what_the_manager_would_bring_along_is_refused(role: Role) -> None:
    class Generous(Emulated):
        def simulate(self, wanted: Wanted) -> Change:
            found = super().simulate(wanted)
            found.installs["extra"] = "3"
            found.replaces["libc"] = ("1", "2")
            return found

    manager = Generous(libc="1")
    change(role, manager, {"driver": "550"})
    role.done()
    assert role.undo(manager).refused == [
        "libc would be replaced: 1 by 2",
        "extra 3 would be installed",
    ]
    assert sorted(manager.packages) == ["driver", "libc"]


def test_a_role_that_went_before_takes_its_own_along(tmp_path: Path) -> None:
    manager = Emulated()
    driver, toolkit = Role(tmp_path, "nvidia_driver"), Role(tmp_path, "cuda_toolkit")
    for role, name in ((driver, "driver"), (toolkit, "toolkit")):
        role.begin()
        change(role, manager, {name: "1"})
        role.done()
    manager.needs["toolkit"] = ["driver"]
    assert driver.undo(manager).refused != []
    whole = driver.undo(manager, roles=[])
    assert [(one.role, [step.what for step in one.steps]) for one in whole.roles] == [
        ("cuda_toolkit", ["remove the packages toolkit 1"]),
        ("nvidia_driver", ["remove the packages driver 1"]),
    ]
    assert (whole.refused, manager.packages) == ([], {})


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("python3", True),
        ("python3.11-minimal", True),
        ("libpython3.11-stdlib", True),
        ("python3-dkms", False),
        ("python3-yaml", False),
        ("libgomp1", False),
    ],
)
def test_the_interpreter_goes_last(role: Role, name: str, last: bool) -> None:
    manager = Emulated()
    change(role, manager, {name: "3"})
    role.done()
    assert packages.plan(manager, str(role.state), role.name, "prior").last is last


STATUS = """\
Package: app
Depends: libgomp1 (>= 4), default-mta | mail-transport-agent, python3:any
Pre-Depends: init

Package: exim
Provides: mail-transport-agent (= 1), x

Package: python3
"""


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ({"libgomp1", "bash"}, ["libgomp1"]),
        ({"exim"}, ["exim"]),
        ({"python3", "app"}, ["python3"]),
        ({"init"}, ["init"]),
        ({"bash"}, []),
    ],
)
def test_why_a_package_would_go(tmp_path: Path, others: set[str], found: list[str]) -> None:
    assert needed_by(planted(tmp_path, STATUS), "app", others) == found


def test_without_dpkg_nobody_says_why(tmp_path: Path) -> None:
    assert needed_by(Box(str(tmp_path)), "app", {"bash"}) == []


@pytest.mark.parametrize("asked", [True, False])
def test_a_dependency_that_somebody_asked_for_since_stays_with_what_it_needs(
    role: Role, tmp_path: Path, asked: bool
) -> None:
    """Who says `apt install gcc` after us means to have gcc, whoever brought it."""
    manager = Emulated(libc="1")
    store = Store(str(role.state), role.name, manager)
    store.begin(Change({"driver": "550", "gcc": "14", "cpp": "14"}, {}, {}))
    for name, version in {"driver": "550", "gcc": "14", "cpp": "14"}.items():
        manager.packages[name] = Package(version, "amd64", auto=name != "driver")
    store.settle()
    role.done()
    if asked:
        manager.mark(["gcc"], auto=False)
    status = "\n\n".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 14\n{more}"
        for name, more in {
            "gcc": "Depends: cpp (= 14), libc\n",
            "cpp": "",
            "driver": "Depends: gcc\n",
        }.items()
    )
    undone = packages.plan(
        manager, str(role.state), role.name, "prior", box=planted(tmp_path / "box", status)
    )
    stays = {
        "the package gcc": "somebody has asked for it by name since",
        "the package cpp": "gcc stays, and needs it",
    }
    assert list(undone.wanted.remove) == (["driver"] if asked else ["cpp", "driver", "gcc"])
    assert {one.what: one.why for one in undone.kept} == (stays if asked else {})
