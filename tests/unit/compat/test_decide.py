"""Decisions as a table: boxes in words, what is asked for, and the routes or the chains."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner import profiles
from provisioner.compat.box import box_from
from provisioner.compat.decide import Ask, Decision, decide
from provisioner.compat.described import described
from provisioner.compat.solver import Conflict

GPU_PROFILE = "autoglm-phone-9b"
BOX: dict[str, Any] = {"memory": "64GB", "cores": 16, "arch": "x86_64", "driver": "none", "disk": "500GB"}


def decided(profile: str = GPU_PROFILE, ask: dict[str, Any] | None = None, **box: Any) -> Decision | Conflict:
    return decide(box_from(described(**BOX | box)), Ask(profiles.load(profile), **ask or {}))


def chains(profile: str = GPU_PROFILE, ask: dict[str, Any] | None = None, **box: Any) -> list[str]:
    answer = decided(profile, ask, **box)
    assert isinstance(answer, Conflict), answer
    return str(answer).split("; ")


@pytest.mark.parametrize(
    ("box", "ask", "driver", "toolkit"),
    [
        ({"gpu": "RTX 4090", "os": "ubuntu24.04"}, {}, "580 ubuntu-prebuilt open", "12.4 runfile"),
        ({"gpu": "RTX 5090", "os": "ubuntu24.04"}, {}, "580 ubuntu-prebuilt open", "12.8 nvidia-repository"),
        (
            {"gpu": "V100 32GB", "os": "debian12"},
            {},
            "580 nvidia-repository proprietary",
            "12.4 nvidia-repository",
        ),
    ],
)
def test_the_driver_and_the_toolkit(
    box: dict[str, Any], ask: dict[str, Any], driver: str, toolkit: str
) -> None:
    answer = decided(ask=ask, **box)
    assert isinstance(answer, Decision), answer
    one, two = answer.route("driver"), answer.route("toolkit")
    assert f"{one.version.partition('.')[0]} {one.way} {one.extra['modules']}" == driver
    assert f"{two.version} {two.way}" == toolkit


def test_an_old_toolkit_on_a_new_gpu() -> None:
    answer = decided(ask={"cuda": "12.4"}, gpu="RTX 5090", os="ubuntu24.04")
    assert isinstance(answer, Conflict)
    assert str(answer) == (
        "RTX 5090 here → RTX 5090 is sm_120 (Blackwell) → sm_120 needs CUDA 12.8 or newer → --cuda 12.4"
    )
    assert answer.changes == (
        "say --cuda 12.8, or --cuda none: the wheels bring their own CUDA", "a GPU other than RTX 5090",
    )  # fmt: skip


def test_wheels_that_need_a_newer_glibc() -> None:
    found = chains(gpu="RTX 4090", os="centos7", driver="550.54.14", python="3.11", root=False)
    assert [one.split(" → ") for one in found] == [
        [
            "CentOS Linux 7 (Core) has glibc 2.17",
            "torch 2.10.0 wheels need glibc 2.28 or newer",
            "autoglm-phone-9b uses torch 2.10.0",
        ]
    ]
