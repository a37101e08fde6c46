"""Which driver is kept, installed, or cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.compat.rules.case import Case
from provisioner.compat.rules.drivers import domain
from provisioner.errors import UsageError

from .asking import CPU_PROFILE, ask, box, chains, decision

P = "autoglm-phone-9b"
RUNS = f"{P} runs on an NVIDIA GPU"
NONE = "no NVIDIA driver is loaded"


@pytest.mark.parametrize(
    ("words", "asked", "action", "version", "modules"),
    [
        # None there: the newest long-term branch, open modules where the GPU has a choice.
        ({}, {}, "install", "580", "open"),
        ({"gpu": "V100 32GB"}, {}, "install", "580", "proprietary"),
        ({"gpu": "RTX 5090"}, {}, "install", "580", "open"),
        # What is there and does everything stays, whatever installed it and however much newer it is.
        ({"driver": "550.54.14"}, {}, "keep", "550", None),
        ({"driver": "615.71.09"}, {}, "keep", "615", None),
        ({"driver": "580.65.06"}, {}, "keep", "580", None),
        # Too old for the toolkit: newer; asked to have no toolkit, it does.
        ({"driver": "535.274.02"}, {}, "upgrade", "580", "open"),
        ({"driver": "535.274.02"}, {"cuda": "none"}, "keep", "535", None),
        # --upgrade takes the newest long-term branch, and no older one than there is.
        ({"driver": "550.54.14"}, {"upgrade": True}, "upgrade", "580", "open"),
        ({"driver": "580.178.04"}, {"upgrade": True}, "keep", "580", None),
        ({"driver": "615.71.09"}, {"upgrade": True}, "keep", "615", None),
        # A branch that was asked for.
        ({}, {"driver": "570"}, "install", "570", "open"),
        ({"driver": "580.65.06"}, {"driver": "570"}, "upgrade", "570", "open"),
        ({"driver": "570.211.01"}, {"driver": "570"}, "keep", "570", None),
        # On the CPU's route nothing is needed, and nothing installed unless asked for.
        ({"profile": CPU_PROFILE}, {}, "none", "", None),
        ({"profile": CPU_PROFILE, "driver": "470.256.02"}, {}, "keep", "470", None),
        ({"profile": CPU_PROFILE, "driver": "470.256.02"}, {"require_gpu": True}, "upgrade", "580", "open"),
        # One that may be there, and that no way installs.
        ({"profile": CPU_PROFILE, "driver": None, "gpu": "T4"}, {"driver": "470"}, "keep", "", None),
        ({"profile": CPU_PROFILE}, {"driver": "580"}, "install", "580", "open"),
        ({"profile": CPU_PROFILE}, {"cuda": "12.4"}, "install", "580", "open"),
        ({"profile": CPU_PROFILE, "gpu": "none", "driver": None}, {}, "none", "", None),
    ],
)
def test_keep_upgrade_or_install(
    words: dict[str, Any], asked: dict[str, Any], action: str, version: str, modules: str | None
) -> None:
    profile = words.pop("profile", P)
    route = decision(box(**words), ask(profile, **asked)).route("driver")
    assert (route.action, route.version.partition(".")[0]) == (action, version)
    assert route.extra.get("modules") == modules


@pytest.mark.parametrize(
    ("words", "asked", "told"),
    [
        (
            {"driver": "580.65.06", "gpu": "RTX 5090"},
            {"driver": "550"},
            [
                "RTX 5090 here", "RTX 5090 is sm_120 (Blackwell)", "Blackwell needs driver 570 or newer",
                "--branch 550",
            ],
        ),
        (
            {"gpu": "V100 32GB"},
            {"driver": "595"},
            [
                "Tesla V100-PCIE-32GB here", "Tesla V100-PCIE-32GB is sm_70 (Volta)",
                "driver 580 is the last for Volta", "--branch 595",
            ],
        ),
        (
            {"gpu": "V100 32GB + RTX 5090"},
            {},
            [
                "Tesla V100-PCIE-32GB here", "RTX 5090 here", NONE, "Tesla V100-PCIE-32GB is sm_70 (Volta)",
                "RTX 5090 is sm_120 (Blackwell)", "Volta runs with the proprietary kernel modules only",
                "Blackwell runs with the open kernel modules only", RUNS,
            ],
        ),
        ({}, {"driver": "keep"}, [NONE, "--branch keep", RUNS]),
        (
            {"driver": "470.256.02"},
            {"driver": "keep"},
            ["driver 470.256.02 is loaded", "--branch keep", f"{P} needs driver 525 or newer"],
        ),
    ],
)  # fmt: skip
def test_no_driver_will_do(words: dict[str, Any], asked: dict[str, Any], told: list[str]) -> None:
    assert [one.split(" → ") for one in chains(box(**words), ask(**asked))] == [told]


def test_a_driver_that_nobody_could_look_at_is_planned_for_as_if_there_were_none() -> None:
    found = decision(box(driver=None), ask())
    assert found.route("driver").action == "install"
    assert "whether a driver is there is not known: planned as if none were" in found.notes


@pytest.mark.parametrize(
    ("words", "asked", "oldest"),
    [({}, {}, 550), ({}, {"cuda": "none"}, 525), ({"gpu": "RTX 5090"}, {"cuda": "none"}, 570)],
)
def test_where_none_can_be_installed_it_is_said_which_it_must_be(
    words: dict[str, Any], asked: dict[str, Any], oldest: int
) -> None:
    found = decision(box(driver=None, os="wsl2", secure_boot=None, **words), ask(**asked))
    assert (found.route("driver").action, found.route("driver").version) == ("windows", "")
    told = f"whether a driver is there is not known: it must be of branch {oldest} or newer"
    assert told in found.notes


def test_a_branch_that_nobody_knows_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="driver branch 581: no such branch is known") as caught:
        chains(box(), ask(driver="581"))
    assert caught.value.hint == "did you mean 580?"


def test_long_term_branches_come_first_and_with_secure_boot_the_signed_ones() -> None:
    plain = [way for way in domain(Case(box(), ask())) if way.route]
    assert [way.branch for way in plain][:4] == [580, 580, 580, 580]
    secure = [way for way in domain(Case(box(secure_boot=True), ask())) if way.route]
    signed = [way.route.signed for way in secure if way.route]
    assert signed == sorted(signed, key=["distribution", "mok", "none"].index)
    assert len(set(signed)) == 2
