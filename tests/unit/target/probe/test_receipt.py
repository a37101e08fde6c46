from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import receipt, start
from provisioner.target.probe.observe import observe

NOW = "2026-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt, "now", lambda: NOW)


class Role:
    """A role that is responsible for one file, and the folder its receipts lie in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state" / "receipts"
        self.file = folder / "file"
        self.resource = {"id": "host_base.file", "kind": "file", "path": str(self.file)}

    def ask(self, phase: str, **more: Any) -> Any:
        request = {
            "phase": phase,
            "role": "host_base",
            "role_digest": "d1",
            "inputs": {"host_base_packages": ["x"]},
            "resources": [self.resource],
            "result": {},
            "request": {"profile": "p"},
            "dir": str(self.folder),
            "check": False,
            "run": "r1",
            "tool": "0.1.0",
        }
        return receipt.main({**request, **more})

    def written(self) -> dict[str, Any]:
        return {path.name: json.loads(path.read_text()) for path in sorted(self.folder.glob("*"))}

    def receipt(self, **more: Any) -> dict[str, Any]:
        return {
            "schema": 1,
            "role": "host_base",
            "role_digest": "d1",
            "inputs": {"host_base_packages": ["x"]},
            "resources": [{**self.resource, "value": observe(self.resource), "prior": {"state": "absent"}}],
            "result": {},
            "request": {"profile": "p"},
            "written_at": NOW,
            "tool": "0.1.0",
            "run": "r1",
            **more,
        }


@pytest.fixture
def role(tmp_path: Path) -> Role:
    return Role(tmp_path)


def test_a_role_that_runs_leaves_a_receipt(role: Role) -> None:
    pending = {
        "schema": 1,
        "role": "host_base",
        "run": "r1",
        "started_at": NOW,
        "resources": [{**role.resource, "prior": {"state": "absent"}, "before": {"state": "absent"}}],
    }
    assert role.ask("begin") == {"changed": False, "receipt": pending}
    assert role.written() == {"host_base.pending.json": pending}
    role.file.write_text("x")
    assert role.ask("done") == {"changed": True, "receipt": role.receipt()}
    assert role.written() == {"host_base.json": role.receipt()}


def test_a_second_run_changes_nothing(role: Role) -> None:
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    before = (role.folder / "host_base.json").stat()
    role.ask("begin", run="r2")
    assert role.ask("done", run="r2") == {"changed": False, "receipt": role.receipt(run="r2")}
    assert role.written() == {"host_base.json": role.receipt()}
    assert (role.folder / "host_base.json").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ({"role_digest": "d2"}, True),
        ({"inputs": {}}, True),
        ({"result": {"text": "hello"}}, True),
        ({"request": {"profile": "q"}}, False),
    ],
)
def test_a_run_with_another_wish_rewrites_the_receipt(
    role: Role, more: dict[str, Any], changed: bool
) -> None:
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    role.ask("begin", **more)
    assert role.ask("done", **more) == {"changed": changed, "receipt": role.receipt(**more)}
    assert role.written() == {"host_base.json": role.receipt(**more)}


def test_the_first_prior_is_the_true_one(role: Role) -> None:
    role.ask("begin")
    role.file.write_text("half")  # the run is cut here, and the next one begins again
    role.ask("begin", run="r2")
    role.file.write_text("whole")
    role.ask("done", run="r2")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == {"state": "absent"}
    role.file.write_text("changed by hand")
    role.ask("begin", run="r3")
    role.ask("done", run="r3")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == {"state": "absent"}


def test_a_resource_that_moves_has_a_prior_of_its_own(role: Role, tmp_path: Path) -> None:
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    first = role.resource
    role.resource = {**role.resource, "path": str(tmp_path)}
    prior = {**observe(role.resource), "group": tmp_path.stat().st_gid}
    role.ask("begin")
    role.ask("done")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == prior
    assert role.written()["host_base.json"]["former"] == [
        {**first, "value": observe(first), "prior": {"state": "absent"}}
    ]
    role.file.unlink()  # as it was before the role made it: nothing of it is left to remember
    role.ask("begin")
    role.ask("done")
    assert "former" not in role.written()["host_base.json"]


def test_what_is_named_again_has_its_first_prior(role: Role, tmp_path: Path) -> None:
    first = role.resource
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    for path in (str(tmp_path), first["path"]):
        role.resource = {**first, "path": path}
        role.ask("begin")
        role.ask("done")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == {"state": "absent"}


def test_how_a_resource_is_put_back_does_not_make_it_another(role: Role) -> None:
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    role.resource = {**role.resource, "refresh": "units"}
    role.ask("begin")
    role.ask("done")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == {"state": "absent"}


def test_a_change_notes_what_it_begins_with_until_it_has_ended(role: Role) -> None:
    role.ask("begin")
    role.file.write_text("first")
    role.ask("done")
    role.ask("begin")
    role.file.write_text("half")
    role.ask("begin")  # after a cut
    noted = role.written()["host_base.pending.json"]["resources"][0]
    digest = hashlib.sha256(b"first").hexdigest()
    assert (noted["prior"], noted["before"]["sha256"]) == ({"state": "absent"}, digest)
    saved = role.folder.parent / "saved" / "host_base" / "files"
    assert {path.name: path.read_text() for path in saved.iterdir()} == {digest: "first"}
    role.ask("done")
    assert not saved.exists()


def test_what_a_shell_script_made_was_not_there_before(role: Role) -> None:
    saved = role.folder.parent / "saved" / "host_base"
    saved.mkdir(parents=True)
    (saved / "new").write_text(f"/elsewhere\n{role.file}\n")
    role.file.write_text("by the script")
    role.ask("begin")
    role.ask("done")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == {"state": "absent"}
    assert not (saved / "new").exists()


def test_what_a_cut_run_with_other_inputs_noted_is_kept(role: Role, tmp_path: Path) -> None:
    first = role.resource
    role.ask("begin")
    role.file.write_text("half")
    role.resource = {**first, "path": str(tmp_path)}
    role.ask("begin")
    role.resource = first
    role.ask("begin")
    role.ask("done")
    assert role.written()["host_base.json"]["resources"][0]["prior"] == {"state": "absent"}


def test_done_without_begin_does_not_know_the_prior(role: Role) -> None:
    role.file.write_text("x")
    prior = {"state": "unknown", "why": "the role began without taking note"}
    assert role.ask("done")["receipt"]["resources"][0]["prior"] == prior


def test_in_check_mode_nothing_is_written(role: Role) -> None:
    assert role.ask("begin", check=True)["changed"] is False
    assert role.ask("done", check=True)["changed"] is True
    assert not role.folder.exists()
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    assert role.ask("done", check=True)["changed"] is False
    role.file.unlink()
    assert role.ask("done", check=True)["changed"] is True
    assert list(role.written()) == ["host_base.json"]


@pytest.mark.parametrize("broken", ["{", "[]", '{"resources": 7}', '{"resources": [7]}'])
def test_broken_files_are_written_anew(role: Role, broken: str) -> None:
    role.folder.mkdir(parents=True)
    for name in ("host_base.json", "host_base.pending.json"):
        (role.folder / name).write_text(broken)
    role.ask("begin")
    role.file.write_text("x")
    assert role.ask("done")["changed"] is True
    assert role.written() == {"host_base.json": role.receipt()}


def test_what_is_absent_or_unknown_after_the_role_is_an_error(role: Role) -> None:
    role.ask("begin")
    strange = {"id": "host_base.tree", "kind": "tree", "path": "relative"}
    with pytest.raises(TargetError) as caught:
        role.ask("done", resources=[role.resource, strange])
    assert str(caught.value) == (
        "role host_base ran, but host_base.file is absent; "
        "host_base.tree is the path is not absolute: relative"
    )
    assert list(role.written()) == ["host_base.pending.json"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"role": "../evil"}, "not the name of a role: '../evil'"),
        ({"role": None}, "not the name of a role: None"),
        ({"dir": "state"}, "the folder for receipts is no absolute path: 'state'"),
        ({"phase": "end"}, "the phase of a receipt is begin, done or reboot, not 'end'"),
        ({"resources": {}}, "role host_base gave no list of resources"),
        ({"resources": [{}]}, "role host_base gave a resource without an id: {}"),
        (
            {"resources": [{"id": "a", "kind": "kernel"}] * 2},
            "role host_base gave the resource a twice",
        ),
        (
            {"resources": [{"id": "a", "kind": "colour"}]},
            "role host_base: a is of no known kind: 'colour'",
        ),
        (
            {"phase": "done", "inputs": ["x"], "resources": []},
            "the receipt of role host_base would be of no use: its inputs is not a dict",
        ),
    ],
)
def test_a_senseless_request_is_refused(role: Role, more: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError) as caught:
        role.ask(**{"phase": "begin", **more})
    assert str(caught.value) == message
    assert not role.folder.exists()


def test_files_and_folders_can_be_read_by_all_whatever_the_umask(role: Role) -> None:
    before = os.umask(0o077)
    try:
        role.ask("begin")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (role.folder, *role.folder.iterdir())}
    assert modes == {"receipts": 0o755, "host_base.pending.json": 0o644}


@pytest.mark.parametrize(
    ("proxy", "mode"), [("http://p.example:3128", 0o644), ("http://me:secret@p.example:3128", 0o600)]
)
def test_a_receipt_with_a_password_in_it_is_for_its_owner_alone(role: Role, proxy: str, mode: int) -> None:
    role.file.write_text("made")
    role.ask("done", inputs={"host_base_https_proxy": proxy})
    assert stat.S_IMODE((role.folder / "host_base.json").stat().st_mode) == mode


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (errno.ENOSPC, "No space left on device", "free some space there and run again"),
        (
            errno.EROFS,
            "Read-only file system",
            "the file system is mounted read-only: mount it writable and run again",
        ),
        (errno.EACCES, "Permission denied", receipt.WHO),
    ],
)
def test_a_write_that_fails_leaves_the_old_receipt(
    role: Role, monkeypatch: pytest.MonkeyPatch, code: int, message: str, hint: str
) -> None:
    role.ask("begin")
    role.file.write_text("x")
    role.ask("done")
    before = role.written()

    def refuse(_fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(TargetError) as caught:
        role.ask("done", role_digest="d2")
    assert (str(caught.value), caught.value.hint) == (
        f"cannot write {role.folder}/host_base.json: {message}",
        hint,
    )
    assert role.written() == before


def test_a_role_that_waits_for_a_restart_says_so_until_it_begins_again(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "identity", lambda _: "7d8c:512")
    begun = role.ask("begin")["receipt"]
    waiting = {**begun, "awaits": {"boot": "7d8c:512", "why": "nouveau is loaded"}}
    assert role.ask("reboot", why=" nouveau is loaded ", check=True) == {"changed": False, "receipt": waiting}
    assert role.written() == {"host_base.pending.json": begun}
    assert role.ask("reboot", why="nouveau is loaded") == {"changed": False, "receipt": waiting}
    assert role.written() == {"host_base.pending.json": waiting}
    role.file.write_text("made")
    role.ask("begin")
    assert role.written() == {"host_base.pending.json": begun}, "the first prior is kept, the wish is not"
    role.ask("done")
    assert list(role.written()) == ["host_base.json"]


@pytest.mark.parametrize(
    ("why", "message"),
    [
        ("x", "role host_base asks for a restart and never began"),
        (" ", "role host_base asks for a restart without saying why"),
    ],
)
def test_a_restart_without_a_beginning_or_a_reason_is_refused(role: Role, why: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        role.ask("reboot", why=why)
    assert not role.folder.exists()
