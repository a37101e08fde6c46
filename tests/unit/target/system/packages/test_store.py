from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system.packages.base import Package, Wanted
from provisioner.target.system.packages.store import Prior, Store

from .machine import Emulated, PowerCut, cut_power


@pytest.fixture
def manager() -> Emulated:
    """A driver of an older branch is there, which the new one replaces, and another that it evicts."""
    found = Emulated(
        {
            "driver": Package("535", "amd64", held=True),
            "libdriver": Package("535", "amd64", auto=True),
            "nouveau-tools": Package("1", "all"),
            "bash": Package("5", "amd64"),
        }
    )
    found.brings = {"driver": ["libdriver=550", "dkms=3"]}
    found.evicts = {"driver": ["nouveau-tools"]}
    return found


def install(store: Store, manager: Emulated, *wanted: str) -> None:
    """What a role's change does: noted, saved, applied."""
    asked = Wanted(install=wanted)
    change = manager.simulate(asked)
    store.begin(change)
    manager.apply(asked, change)


def kept(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def expected(folder: Path, left: str = "550") -> dict[str, Prior]:
    archives = folder / "saved/driver_role/archives"
    return {
        "dkms": Prior("amd64", None, auto=True),
        "driver": Prior("amd64", "535", held=True, archive=str(archives / "driver_535.deb"), left=left),
        "libdriver": Prior("amd64", "535", auto=True, archive=str(archives / "libdriver_535.deb"), left=left),
        "nouveau-tools": Prior("all", "1", archive=str(archives / "nouveau-tools_1.deb"), left=""),
    }


def test_a_change_is_remembered_with_all_that_it_replaced(tmp_path: Path, manager: Emulated) -> None:
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "driver=550")
    assert store.under_way
    assert store.before() == expected(tmp_path)
    assert store.settle() == expected(tmp_path)
    assert store.prior() == expected(tmp_path)
    assert not Store(str(tmp_path), "driver_role", manager).under_way
    folder = tmp_path / "saved/driver_role"
    assert sorted(kept(folder)) == [
        "archives.json",
        "archives/driver_535.deb",
        "archives/libdriver_535.deb",
        "archives/nouveau-tools_1.deb",
        "packages.json",
    ]
    assert json.loads((folder / "packages.json").read_text()) == {
        "schema": 1,
        "manager": "emulated",
        "packages": {
            "dkms": {
                "arch": "amd64", "version": None, "auto": True, "held": False, "archive": None,
                "remains": False, "left": None,
            },
            "driver": {
                "arch": "amd64", "version": "535", "auto": False, "held": True, "archive": "driver_535.deb",
                "remains": False, "left": "550",
            },
            "libdriver": {
                "arch": "amd64", "version": "535", "auto": True, "held": False,
                "archive": "libdriver_535.deb", "remains": False, "left": "550",
            },
            "nouveau-tools": {
                "arch": "all", "version": "1", "auto": False, "held": False,
                "archive": "nouveau-tools_1.deb", "remains": False, "left": "",
            },
        },
    }  # fmt: skip
    assert (folder.stat().st_mode & 0o777) == 0o700


def test_the_first_prior_wins_and_a_second_change_has_a_before_of_its_own(
    tmp_path: Path, manager: Emulated
) -> None:
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "driver=550")
    store.settle()
    manager.brings = {"driver": ["libdriver=580"]}
    install(store, manager, "driver=580")
    archives = tmp_path / "saved/driver_role/archives"
    assert store.before() == {
        "driver": Prior("amd64", "550", archive=str(archives / "driver_550.deb"), left="580"),
        "libdriver": Prior(
            "amd64", "550", auto=True, archive=str(archives / "libdriver_550.deb"), left="580"
        ),
    }
    assert store.settle() == expected(tmp_path, "580")
    assert names(archives) == ["driver_535.deb", "libdriver_535.deb", "nouveau-tools_1.deb"]


def test_what_is_as_before_again_is_forgotten(tmp_path: Path, manager: Emulated) -> None:
    was = manager.installed()
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "driver=550")
    store.settle()
    manager.packages = {**was, "htop": Package("3", "amd64")}
    assert store.settle() == {}
    assert kept(tmp_path / "saved/driver_role") == {}


def test_of_what_only_configuration_was_there_is_remembered(tmp_path: Path, manager: Emulated) -> None:
    manager.offered["dkms"] = "3"
    manager.left = {"dkms"}
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "dkms")
    manager.left = set()
    assert store.settle() == {"dkms": Prior("amd64", None, remains=True)} == store.prior()
    # Its removal was cut off before its configuration went; that of one that had none is still to go.
    del manager.packages["dkms"]
    manager.left = {"dkms"}
    assert store.merged() == {}
    assert store.prior() == {"dkms": Prior("amd64", None, remains=True)}


def test_configuration_that_is_left_over_is_not_as_before(tmp_path: Path, manager: Emulated) -> None:
    manager.offered["dkms"] = "3"
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "dkms")
    store.settle()
    del manager.packages["dkms"]
    manager.left = {"dkms"}
    assert store.merged() == {"dkms": Prior("amd64", None)}


def test_notes_of_an_earlier_version_know_less(tmp_path: Path, manager: Emulated) -> None:
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "driver=550")
    store.settle()
    path = tmp_path / "saved/driver_role/packages.json"
    body = json.loads(path.read_text())
    for entry in body["packages"].values():
        del entry["remains"], entry["left"]
    path.write_text(json.dumps(body))
    assert store.prior()["driver"] == expected(tmp_path)["driver"]._replace(left=None)


def test_what_somebody_else_changes_meanwhile_is_not_the_roles(tmp_path: Path, manager: Emulated) -> None:
    store = Store(str(tmp_path), "driver_role", manager)
    install(store, manager, "driver=550")
    manager.packages["bash"] = Package("5.1", "amd64")
    assert store.settle() == expected(tmp_path)


def test_a_role_with_a_way_of_its_own_is_charged_with_all_that_changed(
    tmp_path: Path, manager: Emulated
) -> None:
    store = Store(str(tmp_path), "driver_role", manager)
    assert store.note(["chrony"])
    manager.packages["chrony"] = Package("4", "amd64")
    assert not store.note(["headers"])
    manager.packages["headers"] = Package("6", "all")
    # The updates of a machine's first start: a kernel that nobody here asked for is not to be taken off.
    manager.packages["linux-image"] = Package("6.1", "amd64")
    manager.packages["bash"] = Package("5.1", "amd64")
    assert store.settle() == {"chrony": Prior("amd64", None), "headers": Prior("all", None)}


def test_a_copy_that_nobody_used_is_made_anew(tmp_path: Path, manager: Emulated) -> None:
    manager.raises = {"save": [TargetError("no copy of driver 535 could be saved")]}
    store = Store(str(tmp_path), "driver_role", manager)
    with pytest.raises(TargetError):
        install(store, manager, "driver=550")
    assert not store.under_way
    assert store.settle() == {}
    # Somebody upgrades it: that is how it was before the role's first change.
    manager.packages["libdriver"] = Package("540", "amd64", auto=True)
    install(store, manager, "driver=550")
    assert store.settle()["libdriver"].version == "540"


def test_a_full_disk_is_named_by_its_folder(tmp_path: Path, manager: Emulated) -> None:
    manager.raises = {"save": [OSError(errno.ENOSPC, "No space left on device")]}
    with pytest.raises(TargetError) as refusal:
        install(Store(str(tmp_path), "driver_role", manager), manager, "driver=550")
    assert refusal.value.message == f"{tmp_path}/saved/driver_role: No space left on device"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"packages": 1}'])
def test_a_damaged_memory_is_not_taken_for_none(tmp_path: Path, manager: Emulated, text: str) -> None:
    folder = tmp_path / "saved/driver_role"
    folder.mkdir(parents=True)
    (folder / "packages.json").write_text(text)
    store = Store(str(tmp_path), "driver_role", manager)
    for look in (store.prior, store.merged, store.settle):
        with pytest.raises(TargetError, match=r"packages\.json is damaged"):
            look()
    assert (folder / "packages.json").read_text() == text


def test_only_a_role_has_saved_packages(tmp_path: Path, manager: Emulated) -> None:
    for state, role in ((str(tmp_path), "../etc"), ("relative", "driver_role")):
        with pytest.raises(TargetError, match="no place for what"):
            Store(state, role, manager)


def change_and_settle(state: Path, manager: Emulated) -> None:
    store = Store(str(state), "driver_role", manager)
    install(store, manager, "driver=550")
    store.settle()


def steps_of_a_change(tmp_path: Path, manager: Emulated, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patch:
        taken = cut_power(patch, 1000)
        change_and_settle(tmp_path / "counted", manager)
    return len(taken)


def test_the_power_may_be_cut_after_each_step(
    tmp_path: Path, manager: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = manager.installed()
    count = steps_of_a_change(tmp_path, manager, monkeypatch)
    assert count > 8
    for after in range(count):
        manager.packages = dict(was)
        state = tmp_path / str(after)
        with monkeypatch.context() as patch:
            cut_power(patch, after)
            with pytest.raises(PowerCut):
                change_and_settle(state, manager)
        # The machine comes back, and the role runs again: if the packages are there, it only settles.
        store = Store(str(state), "driver_role", manager)
        if manager.packages == was:
            install(store, manager, "driver=550")
        store.settle()
        assert (after, store.prior()) == (after, expected(state))
        assert (after, names(state / "saved/driver_role")) == (
            after,
            ["archives", "archives.json", "packages.json"],
        )
        assert all(Path(prior.archive).is_file() for prior in store.prior().values() if prior.archive)


def test_the_power_may_be_cut_between_two_packages(tmp_path: Path, manager: Emulated) -> None:
    manager.raises = {"apply": [PowerCut()]}
    store = Store(str(tmp_path), "driver_role", manager)
    with pytest.raises(PowerCut):
        install(store, manager, "driver=550")
    archive = str(tmp_path / "saved/driver_role/archives/nouveau-tools_1.deb")
    assert store.before() == {"nouveau-tools": Prior("all", "1", archive=archive, left="")}
    again = Store(str(tmp_path), "driver_role", manager)
    install(again, manager, "driver=550")
    assert again.settle() == expected(tmp_path)
