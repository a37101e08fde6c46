from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.observe import Observer
from provisioner.target.system import undo
from provisioner.target.system.command import Host
from provisioner.target.system.packages import managers
from provisioner.target.system.undo import job, last, plan, running
from provisioner.target.system.undo.record import Item, Record
from provisioner.target.system.undo.steps import Kept, Way, way
from tests.unit.target.system.undo.test_undo_packages import change
from tests.unit.target.system.undo.undoing import Emulated, Role, Said

NOTHING = {
    "roles": [], "steps": [], "kept": [], "refused": [], "ending": [], "sweep": False, "reboot": None,
    "changed": False,
}  # fmt: skip


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Two roles, one with a file and one with a model, as `up` leaves them."""
    for name, kind, path in (("python_env", "file", "conf"), ("model_weights", "tree", "state/models/m")):
        role = Role(tmp_path, name)
        role.has(kind, path=str(tmp_path / path), **({"by": "file"} if kind == "tree" else {}))
        role.begin()
        if kind == "tree":
            (tmp_path / path).mkdir(parents=True)
            (tmp_path / path / "weights").write_text("x")
        else:
            (tmp_path / path).write_text("x")
        role.done()
    return tmp_path


def ask(box: Path, **more: Any) -> dict[str, Any]:
    return undo.main({"state": str(box / "state"), "roles": [], "to": "prior", "check": False, **more})


def done(box: Path, value: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(one["role"], one["what"].replace(str(box), "…"), one["done"]) for one in value["steps"]]


STEPS = [("model_weights", "remove …/state/models/m"), ("python_env", "remove …/conf")]


def test_check_says_all_and_changes_nothing(box: Path) -> None:
    before = sorted(box.rglob("*"))
    value = ask(box, check=True)
    assert done(box, value) == [(*step, False) for step in STEPS]
    assert (value["roles"], value["changed"], value["sweep"]) == (["model_weights", "python_env"], True, True)
    assert sorted(box.rglob("*")) == before


def test_all_of_it_goes_and_twice_is_once(box: Path) -> None:
    # What restarts, a key's question and installers leave among the notes is the tool's own too.
    (box / "state/runfiles").mkdir()
    for name in ("restart.log", "machine-key.json", ".nvcc-proof"):
        (box / "state" / name).touch()
    value = ask(box)
    assert done(box, value) == [(*step, True) for step in STEPS]
    assert list(box.iterdir()) == []
    assert ask(box) == NOTHING
    assert ask(box, check=True) == NOTHING


def test_one_role_leaves_the_others(box: Path) -> None:
    value = ask(box, roles=["model_weights"])
    assert done(box, value) == [(*STEPS[0], True)]
    assert sorted(path.name for path in (box / "state/receipts").iterdir()) == ["python_env.json"]
    assert ask(box, roles=["model_weights"]) == {**NOTHING, "changed": False}
    assert (box / "conf").exists()


def test_weights_may_stay(box: Path) -> None:
    value = ask(box, keep=["weights"])
    assert done(box, value) == [(*STEPS[1], True)]
    assert value["kept"] == []
    assert [str(path.relative_to(box)) for path in box.rglob("*") if path.is_file()] == [
        "state/models/m/weights"
    ]


def test_what_is_none_of_ours_stays_and_is_named(box: Path) -> None:
    (box / "state/theirs").write_text("x")
    value = ask(box)
    assert value["kept"] == [
        {"role": "", "what": f"{box}/state/theirs", "why": "it is none of provision's own"}
    ]
    assert [path.name for path in (box / "state").iterdir()] == ["theirs"]


def test_the_notes_of_a_run_that_was_cut_at_its_very_end_go(tmp_path: Path) -> None:
    (tmp_path / "state/jobs/undo").mkdir(parents=True)
    assert ask(tmp_path) == NOTHING
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_leaves_everything(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Emulated()
    role = Role(box, "host_base")
    role.begin()
    change(role, manager, {"python3": "3"})
    role.done()
    manager.packages["mine"] = manager.packages["python3"]
    manager.needs["mine"] = ["python3"]
    monkeypatch.setattr(managers, "manager", lambda: manager)
    value = ask(box)
    assert len(value["refused"]) == 1
    assert {step["done"] for step in value["steps"]} == {False}
    assert (box / "conf").exists()
    with pytest.raises(TargetError, match="mine 3"):
        job.apply({"state": str(box / "state"), "roles": []}, Said())
    assert (box / "conf").exists()


def test_python_goes_after_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Emulated()
    for name, package in (("preflight_fixes", "chrony"), ("host_base", "python3")):
        role = Role(tmp_path, name)
        role.has("file", path=str(tmp_path / name))
        role.begin()
        (tmp_path / name).write_text("x")
        change(role, manager, {package: "3"})
        role.done()
    monkeypatch.setattr(managers, "manager", lambda: manager)
    job.apply({"state": str(tmp_path / "state"), "roles": []}, Said())
    assert sorted(manager.packages) == ["python3"]
    assert [path.name for path in (tmp_path / "state/receipts").iterdir()] == ["host_base.json"]
    assert last.work(plan.Ask(str(tmp_path / "state"), [])) == {"left": []}
    assert manager.packages == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", range(4))
def test_a_run_that_is_cut_anywhere_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    role = Role(tmp_path)
    for name in ("one", "two", "three"):
        role.has("file", path=str(tmp_path / name))
    role.begin()
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text("x")
    role.done()
    whole = plan.make(role.ask())
    for step in whole.steps_of(role.name)[:cut]:
        step.act()
    role.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_cut_before_the_receipt_went_is_made_good(box: Path) -> None:
    (box / "conf").unlink()
    value = ask(box)
    # As far as anyone can tell somebody has removed it: it is gone, as it was before.
    assert (done(box, value), list(box.iterdir())) == ([(*STEPS[0], True)], [])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"state": "state"}, "the state folder is no absolute path: 'state'"),
        ({"to": "back"}, "the way back goes to prior or to before, not to 'back'"),
        ({"keep": ["cake"]}, "nothing is called 'cake' that could be kept"),
        ({"roles": "all"}, "roles is no list of names: 'all'"),
    ],
)
def test_a_senseless_request_is_refused(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError) as caught:
        ask(tmp_path, **more)
    assert str(caught.value) == message


def test_what_cannot_be_read_stops_it(box: Path) -> None:
    role = Role(box, "python_env")
    role.has("file", path=str(box / "conf"))
    role.has("tree", path=str(box / "tree"))
    role.begin()
    (box / "tree").write_text("no folder")
    with pytest.raises(TargetError) as caught:
        ask(box)
    assert str(caught.value) == f"{box}/tree cannot be read: {box}/tree is not a folder"


def test_what_was_never_noted_stays(box: Path) -> None:
    role = Role(box, "host_base")
    role.has("file", path=str(box / "unknown"))
    (box / "unknown").write_text("x")
    role.done()
    value = ask(box)
    why = "how it was before is not known: the role began without taking note"
    assert value["kept"] == [{"role": "host_base", "what": f"{box}/unknown", "why": why}]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A job at work: a process of its own session that holds the job's lock."""
    folder = tmp_path / "state/jobs/weights-m"
    folder.mkdir(parents=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(command, pass_fds=[lock], start_new_session=True)
    os.write(lock, json.dumps({"pid": process.pid}).encode())
    os.close(lock)
    yield process
    process.kill()
    process.wait()


def test_a_job_that_would_bring_it_back_is_ended(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    state = str(tmp_path / "state")
    assert plan.ending(state, ["model_weights"]) == ["weights-m"]
    assert plan.ending(state, ["python_env"]) == []
    running.end(state, ["python_env"])
    assert worker.poll() is None
    running.end(state, ["model_weights"])
    assert worker.wait(60) < 0


def test_a_job_that_installs_packages_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [["/jobs/packages"], ["/jobs/packages"], []]
    monkeypatch.setattr(running, "_held", lambda _: held.pop(0))
    monkeypatch.setattr(running, "_wait", lambda _: None)
    told: list[str] = []
    running.wait(str(tmp_path), told.append)
    assert told == ["packages", "packages"]


@pytest.mark.parametrize(
    ("kind", "resource", "prior", "why"),
    [
        ("module", {"name": "no_such_module"}, {"state": "present", "version": "1"},
         "the kernel module no_such_module is not loaded yet"),
        ("boot_option", {"option": "no_such_option=1"}, {"state": "present"},
         "the kernel runs without no_such_option=1"),
        ("driver", {}, {"state": "present", "version": "1.2"}, "the NVIDIA module in memory is none"),
    ],
)  # fmt: skip
def test_a_restart_is_due_when_what_runs_is_not_what_was(
    tmp_path: Path, kind: str, resource: dict[str, Any], prior: dict[str, Any], why: str
) -> None:
    role = Role(tmp_path, "kernel_options")
    role.has("file", path=str(tmp_path / "conf"), refresh="units")
    role.has(kind, **resource)
    role.begin()
    path = role.state / "receipts/kernel_options.pending.json"
    noted = json.loads(path.read_text())
    noted["resources"][1]["prior"] = prior
    path.write_text(json.dumps(noted))
    assert ask(tmp_path, check=True)["reboot"] == why


def test_what_goes_last_is_told_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "jobs/undo").mkdir(parents=True)

    def refuse(_: plan.Ask) -> dict[str, Any]:
        raise TargetError("no", "next")

    def crash(_: plan.Ask) -> dict[str, Any]:
        raise ValueError("why")

    def killed(_: plan.Ask) -> dict[str, Any]:
        os._exit(9)

    where = plan.Ask(str(tmp_path), [])
    assert last.run(where, lambda _: {"left": ["x"]}) == {"left": ["x"]}
    for work, message in (
        (refuse, "no"),
        (crash, "what goes last crashed: ValueError('why')"),
        (killed, "what was to go last was killed"),
    ):
        with pytest.raises(TargetError) as caught:
            last.run(where, work)
        assert str(caught.value) == message


def test_a_hold_of_a_package_that_came_with_the_role_goes_with_it(box: Path) -> None:
    then = {"state": "unknown", "why": "the role began without taking note"}
    state, found = str(box / "state"), []
    for kind in ("hold", "unit"):
        item = Item("nvidia_driver", {"id": "x", "kind": kind, "name": "libcuda1"}, then, None)
        known = Record("nvidia_driver", state, [item])
        host = Host()
        found.append(plan._item(host, Observer(host.box), known, item, None, plan.Ask(state, []), set()))
    why = "how it was before is not known: the role began without taking note"
    assert found == [way(), Way([], [Kept("nvidia_driver", "unit libcuda1", why)])]


@pytest.mark.parametrize("taken_away", [True, False])
def test_two_that_come_to_the_end_take_turns(tmp_path: Path, taken_away: bool) -> None:
    """As when a controller was killed, its request lives on, and somebody begins again."""
    state = tmp_path / "state"
    state.mkdir()
    other = os.open(state, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    where = plan.Ask(str(state), [])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(last.run, where, lambda _: {"left": ["x"]})
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        if taken_away:
            state.rmdir()
        os.close(other)
        assert waiting.result(timeout=30) == {"left": [] if taken_away else ["x"]}


def test_where_another_has_swept_nothing_is_left_to_do(tmp_path: Path) -> None:
    assert last.run(plan.Ask(str(tmp_path / "gone"), []), last.work) == {"left": []}
