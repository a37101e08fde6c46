from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.facts import Body
from provisioner.target.probe import receipts
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

PLACES = {
    "system": {"code": "/o", "state": "/var/lib/p", "cache": "/c"},
    "user": {"code": "/h/o", "state": "/h/state", "cache": "/h/c"},
}
ROADS = receipts.folders(PLACES, None)
BODY: dict[str, Any] = {
    "schema": 1,
    "role": "host_base",
    "role_digest": "d",
    "inputs": {},
    "resources": [{"id": "host_base.x", "kind": "file", "path": "/etc/x", "value": {"state": "absent"}}],
    "result": None,
    "request": None,
    "written_at": "t",
    "tool": "0.1.0",
    "run": "r",
}


@pytest.mark.parametrize(
    ("given_folders", "roads"),
    [
        (None, [("system", "/var/lib/p/receipts"), ("user", "/h/state/receipts")]),
        (["/h/state/receipts/"], [("user", "/h/state/receipts")]),
        (["/x", "/var/lib/p/receipts"], [("custom", "/x"), ("system", "/var/lib/p/receipts")]),
        ([], []),
    ],
)
def test_where_receipts_are_looked_for(given_folders: list[str] | None, roads: list[tuple[str, str]]) -> None:
    assert receipts.folders(PLACES, given_folders) == roads


def test_receipts_of_both_scopes_are_read_and_observed(plant: Plant) -> None:
    box = Box(
        str(
            plant(
                {
                    "/var/lib/p/receipts/host_base.json": json.dumps(BODY),
                    "/var/lib/p/receipts/python_env.pending.json": "{}",
                    "/var/lib/p/receipts/host_base.json.77.tmp": "{",
                    "/var/lib/p/receipts/.hidden.json": "{",
                    "/h/state/receipts/other.json": json.dumps(BODY),
                    "/h/state/receipts/smoke_test.json": "{",
                    "/etc/x": "-> y",
                }
            )
        )
    )
    link = {"state": "present", "type": "link", "mode": "0777", "owner": os.geteuid(), "target": "y"}
    blank: dict[str, Any] = {"error": None, "body": None, "observed": {}}
    assert receipts.read(box, ROADS) == (
        [
            {
                "scope": "system",
                "role": "host_base",
                "path": "/var/lib/p/receipts/host_base.json",
                "error": None,
                "body": BODY,
                "observed": {"host_base.x": link},
            },
            {
                **blank,
                "scope": "user",
                "role": "other",
                "path": "/h/state/receipts/other.json",
                "error": 'it is the receipt of "host_base"',
            },
            {
                **blank,
                "scope": "user",
                "role": "smoke_test",
                "path": "/h/state/receipts/smoke_test.json",
                "error": "it is not JSON",
            },
        ],
        ["python_env"],
    )
    assert box.unknown == []


def test_a_folder_of_receipts_that_cannot_be_listed_is_unknown(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    box = Box(str(plant({})))
    assert receipts.read(box, ROADS) == ([], [])
    assert box.unknown == [
        {"what": "receipts.system", "why": "/var/lib/p/receipts: Permission denied"},
        {"what": "receipts.user", "why": "/h/state/receipts: Permission denied"},
    ]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, None),
        ({"schema": 2}, "its schema is 2, not 1"),
        ({"schema": True}, "its schema is true, not 1"),
        ({"inputs": []}, "its inputs is not a dict"),
        ({"tool": None}, "its tool is not a str"),
        ({"result": "text"}, "its result is not a dict"),
        ({"request": []}, "its request is not a dict"),
        ({"resources": [{}]}, "resources[0] has no id"),
        ({"resources": [{"id": "a", "value": {}}]}, "resources[0] has no value"),
        (
            {"resources": [{"id": "a", "value": {"state": "absent"}}] * 2},
            'resources[1] is there twice: "a"',
        ),
    ],
)
def test_the_shape_of_a_receipt(change: dict[str, Any], wrong: str | None) -> None:
    assert receipts.flaw({**BODY, **change}) == wrong


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(BODY)), JSON), JSON)
def test_a_receipt_of_any_shape_is_judged(change: dict[str, Any], whole: Any) -> None:
    for body in (whole, {**BODY, **change}):
        wrong = receipts.flaw(body)
        assert wrong is None or wrong.startswith(("it", "resources["))
        if wrong is None:  # what the probe lets through, the controller can decode
            assert msgspec.convert(body, Body).role == body["role"]


@given(st.binary())
def test_any_bytes_are_a_receipt_or_not(data: bytes) -> None:
    class Written(Box):
        def read(self, path: str, limit: int = 0) -> bytes:
            return data

    body, wrong = receipts.load(Written("/nowhere"), "/x")
    assert (body is None) is (wrong is not None)


def test_a_receipt_nested_without_end_is_not_json(plant: Plant) -> None:
    box = Box(str(plant({"/x": "[" * 200_000})))
    assert receipts.load(box, "/x") == (None, "it is not JSON")


def test_the_holder_of_the_lock(tmp_path: Path) -> None:
    box, roads = Box("/"), [("system", f"{tmp_path}/receipts")]
    assert receipts.holder(box, roads) is None
    lock = tmp_path / "run.lock"
    lock.write_text('{"who": "ann@desk", "run": "r1", "since": "now", "pid": 7}')
    assert receipts.holder(box, roads) is None
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert receipts.holder(box, roads) == {"who": "ann@desk", "run": "r1", "since": "now", "pid": 7}
        lock.write_text("garbage")
        assert receipts.holder(box, roads) == {"who": "", "run": "", "since": "", "pid": None}
    assert receipts.holder(box, roads) is None
    assert receipts.holder(Box(str(tmp_path)), roads) is None
    assert box.unknown == []


def test_who_waits_for_a_restart_is_told_with_whether_there_was_one(plant: Plant) -> None:
    stat = "1 (init) S" + " 0" * 18 + " 512 0\n"
    wish = {"boot": "7d8c:512", "why": "nouveau is loaded"}
    box = Box(
        str(
            plant(
                {
                    "/proc/sys/kernel/random/boot_id": "7d8c\n",
                    "/proc/1/stat": stat,
                    "/var/lib/p/receipts/a.pending.json": json.dumps({"awaits": wish}),
                    "/var/lib/p/receipts/b.pending.json": json.dumps({"resources": []}),
                    "/var/lib/p/receipts/c.pending.json": "{",
                    "/var/lib/p/receipts/d.pending.json": json.dumps({"awaits": {"boot": 7}}),
                    "/h/state/receipts/e.pending.json": json.dumps({"awaits": {"boot": "0:1"}}),
                }
            )
        )
    )
    assert receipts.awaiting(box, ROADS) == [
        {"scope": "system", "role": "a", **wish, "restarted": False},
        {"scope": "user", "role": "e", "why": "", "boot": "0:1", "restarted": True},
    ]
