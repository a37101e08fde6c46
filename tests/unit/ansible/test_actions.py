"""What each action makes of its arguments and of the box's answer."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from provisioner import layout, profiles
from provisioner.ansible.modules import provision_job as documentation
from provisioner.errors import ProvisionError
from provisioner.target.runtime import jobs


def load(name: str) -> ModuleType:
    """An action as Ansible loads it: by its file."""
    folder = Path(layout.ansible_settings()["action_plugins"])
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


job, state, probe, receipt, shell, packages = (
    load(f"provision_{name}") for name in ("job", "state", "probe", "receipt", "shell", "packages")
)


# --- provision_job --------------------------------------------------------------------------------------


def test_the_jobs_are_those_of_the_box_and_of_the_documentation() -> None:
    assert job.JOBS == jobs.JOBS
    documented = yaml.safe_load(documentation.DOCUMENTATION)
    assert tuple(documented["options"]["job"]["choices"]) == jobs.JOBS


def test_a_shipped_lock_is_replaced_by_its_text() -> None:
    assert job.complete("env", {"lock": "llama", "path": "/e"}) == {
        "lock": profiles.lock_text("llama"),
        "path": "/e",
    }


def test_a_lock_that_is_text_stays() -> None:
    spec = {"lock": "a==1 \\\n    --hash=sha256:0\n"}
    assert job.complete("env", spec) == spec


WEIGHTS = {
    "path": "/m", "source": {"type": "hf", "repo": "o/m"}, "mirrors": ["https://mirror"], "files": [],
    "options": {"connections": 4, "bandwidth": "20MB", "allow_pickle": False, "reserve_bytes": 7},
}  # fmt: skip


def test_a_profile_stands_for_its_sources_and_files() -> None:
    model = profiles.load("gemma3-270m").model
    source = {"type": "profile", "name": "gemma3-270m"}
    filled = job.complete("weights", {**WEIGHTS, "source": source, "mirrors": []})
    assert filled["sources"] == [model.source]
    assert [item["sha256"] for item in filled["files"]] == [item.sha256 for item in model.files]


def test_mirrors_stand_behind_the_source_and_a_bandwidth_is_a_number() -> None:
    assert job.complete("weights", WEIGHTS) == {
        "path": "/m", "files": [],
        "sources": [
            {"type": "hf", "repo": "o/m"}, {"type": "hf", "repo": "o/m", "endpoint": "https://mirror"},
        ],
        "options": {
            "connections": 4, "bandwidth": 20_000_000, "allow_pickle": False, "reserve_bytes": 7,
        },
    }  # fmt: skip


def test_the_mirrors_of_a_profile_come_with_it() -> None:
    source = {"type": "profile", "name": "autoglm-phone-9b"}
    line = job.complete("weights", {**WEIGHTS, "source": source, "mirrors": []})["sources"]
    assert [(item["type"], item["repo"]) for item in line] == [
        ("hf", "zai-org/AutoGLM-Phone-9B"), ("modelscope", "ZhipuAI/AutoGLM-Phone-9B"),
    ]  # fmt: skip
    own = job.complete("weights", {**WEIGHTS, "source": source})["sources"]
    assert [item.get("endpoint") for item in own] == [None, "https://mirror"]


def test_a_bandwidth_that_means_nothing_is_refused() -> None:
    with pytest.raises(ProvisionError, match="'fast' is no number of bytes a second"):
        job.complete("weights", {**WEIGHTS, "options": {"bandwidth": "fast"}})


def test_an_unknown_lock_is_refused_by_name() -> None:
    with pytest.raises(ProvisionError, match="lama"):
        job.complete("env", {"lock": "lama"})


# --- provision_state ------------------------------------------------------------------------------------

ASSERTIONS = [{"id": "r.a", "what": "a is there"}, {"id": "r.b", "what": "b is there"}]


def test_all_hold() -> None:
    results = [{"id": "r.a", "ok": True, "observed": "x"}, {"id": "r.b", "ok": True, "observed": "y"}]
    assert state.judge("r", ASSERTIONS, results) == {
        "changed": False, "failed": False, "results": results, "broken": [], "msg": "r: 2 of 2 hold",
    }  # fmt: skip


@pytest.mark.parametrize("ok", [False, None])
def test_what_does_not_hold_or_cannot_be_judged_is_named(ok: bool | None) -> None:
    results = [{"id": "r.a", "ok": True, "observed": "x"}, {"id": "r.b", "ok": ok, "observed": "gone"}]
    judged = state.judge("r", ASSERTIONS, results)
    assert (judged["failed"], judged["broken"]) == (True, ["r.b"])
    assert judged["msg"] == "r.b: not so that b is there; observed: gone"


def test_what_is_wrong_is_said_in_sentences() -> None:
    results = [
        {"id": "r.a", "ok": True, "observed": "x"},
        {"id": "r.b", "ok": False, "observed": "gone", "why": ["one", "two"]},
    ]
    judged = state.judge("r", ASSERTIONS, results)
    assert judged["msg"].split("\n") == [
        "r.b: not so that b is there; observed: gone",
        "r.b: one",
        "r.b: two",
    ]


def test_a_check_that_cannot_fail_is_refused() -> None:
    with pytest.raises(ProvisionError, match="asserts nothing"):
        state.judge("r", [], [])


# --- provision_probe and provision_receipt --------------------------------------------------------------

HERE = {"state": "present", "version": "1"}
RESOURCES = [{"id": "r.a", "kind": "package", "name": "a"}, {"id": "r.k", "kind": "kernel"}]
BODY = {
    "role_digest": "d",
    "inputs": {"r_x": 1},
    "resources": [{**item, "value": HERE, "prior": {"state": "absent"}} for item in RESOURCES],
    "result": {"text": "hello"},
}
FACTS: dict[str, Any] = {
    "receipts": [{"role": "r", "error": None, "body": BODY, "observed": {"r.a": HERE, "r.k": HERE}}]
}


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    """FACTS with one thing in the receipt changed."""
    facts = copy.deepcopy(FACTS)
    *inner, last = ["receipts", 0, *path]
    place: Any = facts
    for key in inner:
        place = place[key]
    place[last] = value
    return facts


@pytest.mark.parametrize(
    ("facts", "ids"),
    [
        (FACTS, []),
        (changed(["observed", "r.a"], {"state": "absent"}), ["r.a"]),
        (changed(["observed", "r.k"], {"state": "unknown", "why": "no"}), ["r.k"]),
        (changed(["observed"], {}), ["r.a", "r.k"]),
        (changed(["body"], None), ["r.receipt"]),
    ],
)
def test_drift_is_named(facts: dict[str, Any], ids: list[str]) -> None:
    assert probe.drifted(facts) == ids


def test_a_receipt_holds_and_gives_its_result() -> None:
    assert receipt.holds(FACTS, "r", "d", {"r_x": 1}, RESOURCES) == {"text": "hello"}


@pytest.mark.parametrize(
    ("facts", "role", "digest", "inputs", "resources"),
    [
        (FACTS, "other", "d", {"r_x": 1}, RESOURCES),
        (FACTS, "r", "e", {"r_x": 1}, RESOURCES),
        (FACTS, "r", "d", {"r_x": 2}, RESOURCES),
        (FACTS, "r", "d", {"r_x": 1}, RESOURCES[:1]),
        (FACTS, "r", "d", {"r_x": 1}, [{**RESOURCES[0], "name": "b"}, RESOURCES[1]]),
        (changed(["observed", "r.a"], {"state": "absent"}), "r", "d", {"r_x": 1}, RESOURCES),
        (changed(["body"], None), "r", "d", {"r_x": 1}, RESOURCES),
        ({"receipts": []}, "r", "d", {"r_x": 1}, RESOURCES),
    ],
)
def test_a_receipt_does_not_hold(
    facts: dict[str, Any], role: str, digest: str, inputs: dict[str, Any], resources: list[dict[str, Any]]
) -> None:
    assert receipt.holds(facts, role, digest, inputs, resources) is None


# --- provision_shell ------------------------------------------------------------------------------------


def test_what_a_script_says_is_heard() -> None:
    said = "motd\nprovision.python=yes\nprovision.packages= a  b\nprovision.changed=install a\nprovision.x\n"
    assert shell.heard(0, said, "") == {
        "changed": True,
        "msg": "install a",
        "said": {"python": ["yes"], "packages": ["a", "b"]},
    }


def test_silence_changes_nothing() -> None:
    assert shell.heard(0, "", "") == {"changed": False, "msg": "nothing to do", "said": {}}


@pytest.mark.parametrize(
    ("rc", "stdout", "stderr", "message"),
    [
        (0, "provision.refused=no apt here — use yours\n", "", "no apt here — use yours"),
        (2, "", "sh: 3: Syntax error\n", "the first script on the box ended with 2: sh: 3: Syntax error"),
        (1, "last\n", "", "the first script on the box ended with 1: last"),
        (127, "", "", "the first script on the box ended with 127: it said nothing"),
    ],
)
def test_a_script_that_cannot_go_on_says_why(rc: int, stdout: str, stderr: str, message: str) -> None:
    with pytest.raises(ProvisionError) as caught:
        shell.heard(rc, stdout, stderr)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("secrets", "hidden"),
    [
        ({"hub_token": "s3cret"}, ("s3cret",)),
        ({"peer": {"urls": ["http://192.0.2.1:1"], "token": "s3cret", "name": "a"}}, ("s3cret",)),
        ({"hub_token": "one", "peer": {"token": "two"}}, ("one", "two")),
        ({"peer": {"token": ""}}, ()),
        ({}, ()),
    ],
)
def test_what_is_hidden_of_secrets(secrets: dict[str, Any], hidden: tuple[str, ...]) -> None:
    assert job.texts(secrets) == hidden


@pytest.mark.parametrize(
    ("known", "role", "why", "now"),
    [
        ({}, "a", None, {}),
        ({}, "a", "x", {"a": "x"}),
        ({"b": "y"}, "a", "x", {"b": "y", "a": "x"}),
        ({"a": "x", "b": "y"}, "a", None, {"b": "y"}),
        ({"a": "x"}, "a", "z", {"a": "z"}),
    ],
)
def test_a_playbook_knows_who_waits_for_a_restart(
    known: dict[str, str], role: str, why: str | None, now: dict[str, str]
) -> None:
    assert receipt.waiting(known, role, why) == now


# --- provision_packages ---------------------------------------------------------------------------------


def asked(monkeypatch: pytest.MonkeyPatch, checking: bool, **args: Any) -> list[Any]:
    """What the box is asked by a task of the role some_role."""
    found: list[Any] = []
    action = object.__new__(packages.ActionModule)
    monkeypatch.setattr(packages.ActionModule, "checking", checking)
    monkeypatch.setattr(action, "role_dir", lambda *_: Path("/roles/some_role"), raising=False)
    monkeypatch.setattr(action, "place", lambda *_: "/state", raising=False)

    def ask(*words: Any) -> dict[str, Any]:
        found.extend(words)
        return {"changed": False}

    monkeypatch.setattr(action, "ask", ask)
    assert action.act(args, {}) == {"changed": False}
    return found


@pytest.mark.parametrize(
    ("args", "checking"),
    [({"do": "note", "packages": ["chrony"]}, False), ({"do": "settle", "packages": []}, True)],
)
def test_a_role_takes_note_of_packages_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch, args: dict[str, Any], checking: bool
) -> None:
    request = {**args, "role": "some_role", "state": "/state", "check": checking}
    assert asked(monkeypatch, checking, **args) == ["system.packages", request, {}]


def test_packages_are_noted_or_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProvisionError) as refusal:
        asked(monkeypatch, False, do="undo")
    assert (refusal.value.message, refusal.value.hint) == (
        "do: undo is nothing that packages know",
        "one of note, settle",
    )
    with pytest.raises(ProvisionError, match="do: note without packages"):
        asked(monkeypatch, False, do="note")
