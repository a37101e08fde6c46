from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import users
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

PASSWD = "root:x:0:0:root:/root:/bin/bash\n+nis\nann:x:1000:1000:,,,:/home/ann:/bin/sh\nx:x:-1:0::/:/x\n"
ROOT = {"name": "root", "uid": 0, "home": "/root", "shell": "/bin/bash"}
ANN = {"name": "ann", "uid": 1000, "home": "/home/ann", "shell": "/bin/sh"}


def test_accounts_of_a_recorded_tree(plant: Plant) -> None:
    box = Box(str(plant({"/etc/passwd": PASSWD})))
    assert users.parse(PASSWD) == [ROOT, ANN]
    assert users.find(box, name="ann") == ANN
    assert users.find(box, uid=0) == ROOT
    assert users.find(box, name="bob") is None


@pytest.mark.parametrize(
    ("uid", "environ", "user", "unknown"),
    [
        (1000, {}, ANN, []),
        (1000, {"HOME": "/elsewhere"}, {**ANN, "home": "/elsewhere"}, []),
        (1000, {"HOME": "relative"}, ANN, []),
        (7, {}, {"name": "", "uid": 7, "home": "", "shell": ""}, ["uid 7 has no account"]),
        (7, {"HOME": "/h"}, {"name": "", "uid": 7, "home": "/h", "shell": ""}, ["uid 7 has no account"]),
    ],
)
def test_who_runs_the_probe(
    plant: Plant, uid: int, environ: dict[str, str], user: dict[str, Any], unknown: list[str]
) -> None:
    box = Box(str(plant({"/etc/passwd": PASSWD})))
    assert users.user(box, uid, environ) == user
    assert [entry["why"] for entry in box.unknown] == unknown


def test_accounts_of_this_machine() -> None:
    found = users.find(Box(), uid=os.geteuid())
    assert found is not None
    assert users.find(Box(), name=found["name"]) == found
    assert users.find(Box(), name="no-such-account") is None
    assert users.find(Box(), name="null\0byte") is None


@given(st.text())
def test_any_text_is_a_passwd(text: str) -> None:
    for account in users.parse(text):
        assert account["uid"] >= 0
