from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from provisioner.target import clock
from provisioner.target.errors import TargetError
from provisioner.target.system.packages import job
from provisioner.target.system.packages.base import NotFetched, Package, SetupFailed, UnknownPackage
from provisioner.target.system.packages.store import Prior, Store

from .machine import Emulated, PowerCut, cut_power


@dataclass
class Watcher:
    """What a job gets, with what it said."""

    said: list[str] = field(default_factory=list)
    folder: str = "/state/jobs/driver"

    @property
    def progress(self) -> Watcher:
        return self

    def at(self, done: int) -> None:
        self.said.append(f"{done} B")

    def say(self, phase: str, total: int | None = None, done: int | None = None) -> None:
        self.said.append(phase if total is None else f"{phase} {done}/{total}")


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Emulated:
    found = Emulated({"libdriver": Package("535", "amd64", auto=True), "bash": Package("5", "amd64")})
    found.brings = {"driver": ["libdriver=550", "dkms=3"]}
    monkeypatch.setattr(job, "manager", lambda *asked: found)
    return found


def spec(state: Path, **more: Any) -> dict[str, Any]:
    return {
        "role": "driver_role", "state": str(state), "install": ["driver=550"], "own": ["*driver*"],
        "hold": True, "may_remove": ["nouveau-*"], "recommends": False, "network": {}, "lock_timeout": 5,
        **more,
    }  # fmt: skip


def run(asked: dict[str, Any]) -> dict[str, Any]:
    result = job.apply(asked, Watcher())
    result.pop("seconds")
    return result


RESULT = {
    "own": {"driver": "550", "libdriver": "550"},
    "installs": {"driver": "550", "dkms": "3"},
    "replaces": {"libdriver": ["535", "550"]},
    "removes": {},
}


def test_packages_are_installed_held_and_settled_and_then_there_is_nothing_to_do(
    tmp_path: Path, manager: Emulated
) -> None:
    asked = spec(tmp_path)
    watcher = Watcher()
    assert job.inspect(asked) == "driver is not installed"
    result = job.apply(asked, watcher)
    result.pop("seconds")
    assert result == RESULT
    assert manager.packages == {
        "bash": Package("5", "amd64"),
        "dkms": Package("3", "amd64", auto=True),
        "driver": Package("550", "amd64", held=True),
        "libdriver": Package("550", "amd64", auto=True, held=True),
    }
    assert watcher.said == [
        "looking what is needed",
        "fetching 500/1000",
        "saving what is replaced",
        "setting up driver",
        "setting up dkms",
        "setting up libdriver",
    ]
    store = Store(str(tmp_path), "driver_role", manager)
    archive = str(tmp_path / "saved/driver_role/archives/libdriver_535.deb")
    assert store.prior() == {
        "dkms": Prior("amd64", None, auto=True),
        "driver": Prior("amd64", None),
        "libdriver": Prior("amd64", "535", auto=True, archive=archive, left="550"),
    }
    assert not store.under_way
    assert job.inspect(asked) is None
    assert job.describe(asked) == {
        "own": RESULT["own"], "installs": {}, "replaces": {}, "removes": {}, "seconds": 0.0,
    }  # fmt: skip


def test_inspect_asks_no_mirror_and_changes_nothing(tmp_path: Path, manager: Emulated) -> None:
    manager.old = "apt's lists are older than a day"
    assert job.inspect(spec(tmp_path)) == "driver is not installed"
    assert manager.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"driver": Package("550", "amd64", held=False)}, "driver is not held"),
        ({"driver": Package("550", "amd64", held=True, whole=False)}, "driver was left half-way"),
        ({"driver": Package("535", "amd64", held=True)}, "driver is 535, and 550 is wanted"),
        (
            {"libdriver": Package("550", "amd64", auto=True, held=True, whole=False)},
            "libdriver was left half-way",
        ),
    ],
)
def test_what_is_not_as_asked_is_seen_and_put_right(
    tmp_path: Path, manager: Emulated, broken: dict[str, Package], reason: str
) -> None:
    asked = spec(tmp_path)
    run(asked)
    good = dict(manager.packages)
    manager.packages.update(broken)
    assert job.inspect(asked) == reason
    run(asked)
    assert manager.packages == good
    assert job.inspect(asked) is None


def test_another_version_is_not_hindered_by_the_roles_own_hold(tmp_path: Path, manager: Emulated) -> None:
    run(spec(tmp_path))
    manager.brings = {"driver": ["libdriver=580"]}
    manager.asked.clear()
    run(spec(tmp_path, install=["driver=580"]))
    assert manager.asked.count("unhold") == 2
    assert {name for name, package in manager.packages.items() if package.held} == {"driver", "libdriver"}


def test_a_hold_that_was_there_before_is_somebodys(tmp_path: Path, manager: Emulated) -> None:
    manager.packages["libdriver"] = Package("535", "amd64", auto=True, held=True)
    run(spec(tmp_path))
    assert "unhold" not in manager.asked


def test_a_role_that_proves_its_change_settles_itself(tmp_path: Path, manager: Emulated) -> None:
    asked = spec(tmp_path, settle=False)
    run(asked)
    store = Store(str(tmp_path), "driver_role", manager)
    assert store.under_way
    assert sorted(store.before()) == ["dkms", "driver", "libdriver"] == sorted(store.prior())
    assert job.inspect(asked) is None
    assert job.inspect(spec(tmp_path)) == "what was there before is not noted yet"


def test_old_lists_are_read_anew_once(tmp_path: Path, manager: Emulated) -> None:
    manager.old = "apt's lists are older than a day"
    run(spec(tmp_path))
    assert manager.asked[:4] == ["wait", "repair", "refresh", "simulate"]
    assert manager.asked.count("refresh") == 1


@pytest.mark.parametrize(
    "missing",
    [
        {"simulate": [UnknownPackage("no source has driver")]},
        {"fetch": [NotFetched("http://m/driver.deb did not come: 404")]},
    ],
)
def test_what_no_list_has_may_be_in_newer_ones(
    tmp_path: Path, manager: Emulated, missing: dict[str, list[BaseException]]
) -> None:
    manager.raises = missing
    assert run(spec(tmp_path)) == RESULT
    assert manager.asked.count("refresh") == 1


def test_lists_of_the_future_tell_of_the_clock(tmp_path: Path, manager: Emulated) -> None:
    manager.raises = {"simulate": [UnknownPackage("no source has driver") for _ in range(2)]}
    manager.troubles = ["http://m/InRelease: not valid yet (invalid for another 9h)"]
    with pytest.raises(TargetError) as refusal:
        run(spec(tmp_path))
    assert refusal.value.hint == clock.HINT


def test_a_list_that_did_not_come_is_named_with_what_is_missing(tmp_path: Path, manager: Emulated) -> None:
    manager.raises = {"simulate": [UnknownPackage("no source has driver") for _ in range(2)]}
    manager.troubles = ["http://m/InRelease: 500"]
    with pytest.raises(TargetError) as refusal:
        run(spec(tmp_path))
    assert refusal.value.message == (
        "no source has driver, and these lists could not be read: http://m/InRelease: 500"
    )
    untouched(tmp_path, manager)


def untouched(state: Path, manager: Emulated) -> None:
    assert manager.packages == {
        "libdriver": Package("535", "amd64", auto=True), "bash": Package("5", "amd64"),
    }  # fmt: skip
    store = Store(str(state), "driver_role", manager)
    assert not store.under_way
    assert store.prior() == {}


def test_what_it_would_remove_must_be_allowed(tmp_path: Path, manager: Emulated) -> None:
    manager.packages["nouveau-tools"] = Package("1", "amd64")
    manager.evicts = {"driver": ["bash", "nouveau-tools"]}
    with pytest.raises(TargetError) as refusal:
        run(spec(tmp_path))
    assert (refusal.value.message, refusal.value.hint) == (
        "installing driver=550 would remove bash",
        "remove it yourself if nothing needs it, or choose another version or route",
    )
    manager.evicts = {"driver": ["nouveau-tools"]}
    assert run(spec(tmp_path))["removes"] == {"nouveau-tools": "1"}


def test_what_must_not_come_is_refused_before_anything_comes(tmp_path: Path, manager: Emulated) -> None:
    with pytest.raises(TargetError) as refusal:
        run({**spec(tmp_path), "never": ["driv*"]})
    assert (refusal.value.message, refusal.value.hint) == (
        "installing driver=550 would bring driver",
        "choose packages that do not need it, or another route",
    )
    assert "fetch" not in manager.asked
    untouched(tmp_path, manager)
    assert run({**spec(tmp_path), "never": ["cuda-drivers*"]})["installs"] == {"driver": "550", "dkms": "3"}


def test_without_room_nothing_is_fetched(tmp_path: Path, manager: Emulated) -> None:
    manager.needs = [(str(tmp_path), 1 << 60)]
    with pytest.raises(TargetError, match="1152922 TB are needed"):
        run(spec(tmp_path))
    assert "fetch" not in manager.asked
    untouched(tmp_path, manager)


@pytest.mark.parametrize("where", ["wait", "fetch", "save"])
def test_a_refusal_before_the_change_leaves_no_trace(tmp_path: Path, manager: Emulated, where: str) -> None:
    manager.raises = {where: [TargetError("no"), TargetError("no")]}
    with pytest.raises(TargetError):
        run(spec(tmp_path))
    untouched(tmp_path, manager)


def test_a_change_that_breaks_off_is_remembered_and_goes_on_later(tmp_path: Path, manager: Emulated) -> None:
    failed = SetupFailed("driver could not be set up: exit status 10", "the lines before say why", ["driver"])
    manager.raises = {"apply": [failed]}
    with pytest.raises(TargetError) as refusal:
        run(spec(tmp_path))
    assert (refusal.value.message, refusal.value.hint) == (
        "driver could not be set up: exit status 10",
        "the lines before say why; see /state/jobs/driver/log.txt on that machine",
    )
    assert run(spec(tmp_path)) == RESULT
    assert sorted(Store(str(tmp_path), "driver_role", manager).prior()) == ["dkms", "driver", "libdriver"]


def test_the_first_error_counts_when_nothing_can_be_noted_either(
    tmp_path: Path, manager: Emulated, capsys: pytest.CaptureFixture[str]
) -> None:
    manager.raises = {
        "apply": [SetupFailed("no space is left for /usr/lib/x", "free some")],
        "hold": [TargetError("dpkg is locked")],
    }
    manager.packages["other-driver"] = Package("1", "amd64")
    with pytest.raises(TargetError, match="no space is left for /usr/lib/x"):
        run(spec(tmp_path))
    assert "!! what was done is not held and noted: dpkg is locked" in capsys.readouterr().out


def test_what_is_asked_for_is_no_mere_dependency(tmp_path: Path, manager: Emulated) -> None:
    run(spec(tmp_path))
    manager.packages["driver"] = manager.packages["driver"]._replace(auto=True)
    assert job.inspect(spec(tmp_path)) == "driver counts as a dependency only"
    run(spec(tmp_path))
    assert not manager.packages["driver"].auto
    before = Store(str(tmp_path), "other_role", manager)
    run(spec(tmp_path, install=["libdriver=550"], role="other_role"))
    assert before.prior() == {"libdriver": Prior("amd64", "550", auto=True, held=True, left="550")}


def test_a_manager_that_did_not_do_it_is_not_believed(
    tmp_path: Path, manager: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "apply", lambda *asked: None)
    with pytest.raises(TargetError, match="emulated said that all went well, and driver is not installed"):
        run(spec(tmp_path))


def test_the_power_may_be_cut_anywhere(
    tmp_path: Path, manager: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = dict(manager.packages)
    with monkeypatch.context() as patch:
        count = len(steps(tmp_path / "counted", patch, 1000))
    done = dict(manager.packages)
    assert count > 10
    for after in range(count):
        manager.packages = dict(was)
        state = tmp_path / str(after)
        with monkeypatch.context() as patch:
            steps(state, patch, after)
        run(spec(state))
        assert (after, manager.packages) == (after, done)
        assert (after, job.inspect(spec(state))) == (after, None)
        store = Store(str(state), "driver_role", manager)
        assert (after, store.prior()["libdriver"].version) == (after, "535")
        assert (after, sorted(store.prior())) == (after, ["dkms", "driver", "libdriver"])


def steps(state: Path, patch: pytest.MonkeyPatch, after: int) -> list[str]:
    """A run on a machine whose power goes after so many steps on its file system."""
    taken = cut_power(patch, after)
    try:
        run(spec(state))
    except PowerCut:
        assert len(taken) == after
    return taken
