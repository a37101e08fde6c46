"""Whole decisions, and what must hold of every one, over random boxes in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.compat import knowledge
from provisioner.compat.box import Box
from provisioner.compat.decide import Ask, Decision, Route, decide, problem_of
from provisioner.compat.knowledge import version
from provisioner.compat.solver import Conflict

from .boxes import every_profile
from .rules.asking import GPU_PROFILE, ask, box, chains, conflict, decision


def test_a_whole_decision() -> None:
    found = decision(box(gpu="RTX 5090", os="debian12", secure_boot=True), ask())
    assert found.scope == "system"
    assert found.routes == (
        Route(
            "driver",
            "install",
            "580.178.04",
            "nvidia-repository",
            ("nvidia-driver-pinning-580", "nvidia-open"),
            "driver 580.178.04 with the open kernel modules, by nvidia-repository",
            {
                "modules": "open",
                "mok": (
                    "mokutil --import /var/lib/dkms/mok.pub and choose a password; restart; in the blue menu "
                    "choose Enroll MOK, Continue, Yes, and give the password; restart"
                ),
            },
        ),
        Route(
            "toolkit",
            "install",
            "12.8",
            "nvidia-repository",
            ("cuda-toolkit-12-8",),
            "CUDA toolkit 12.8 by nvidia-repository",
        ),
        Route("python", "keep", "3.11", text="Python 3.11 is kept"),
        Route(
            "environment",
            "install",
            "transformers-cuda",
            "uv",
            found.route("environment").packages,
            f"the locked environment transformers-cuda with {', '.join(found.route('environment').packages)}",
        ),
    )
    (note,) = found.notes
    assert note == (
        "CUDA toolkit 12.8, not 12.4: RTX 5090 here, RTX 5090 is sm_120 (Blackwell), "
        "sm_120 needs CUDA 12.8 or newer"
    )
    told = {fact.id: fact for fact in found.facts}
    assert told["capabilities.12.0.first_cuda"].confidence == "ran"
    assert told["gpus.GeForce RTX 5090.capability"].kind == "data"
    assert told["request.profile.gpu"].kind == "request"
    assert {"gpu.RTX 5090", "toolkits.12.8.driver", "branches.580.newest", "secure_boot"} <= set(told)
    assert not [name for name in told if name.startswith(("branches.470", "toolkits.12.4", "pythons"))]


def test_what_is_used_has_a_source_each() -> None:
    boxes: list[dict[str, Any]] = [{"gpu": "8x H100"}, {"gpu": "V100 32GB", "os": "debian12"}]
    for words in (*boxes, {"driver": "580.95.05"}):
        for fact in decision(box(**words), ask()).facts:
            assert fact.source, fact
            assert (fact.kind == "data") == (fact.confidence is not None), fact


def test_an_old_toolkit_on_a_new_gpu() -> None:
    found = conflict(box(gpu="RTX 5090", os="ubuntu24.04"), ask(cuda="12.4"))
    assert str(found) == (
        "RTX 5090 here → RTX 5090 is sm_120 (Blackwell) → sm_120 needs CUDA 12.8 or newer → --cuda 12.4"
    )
    assert found.changes == (
        "say --cuda 12.8, or --cuda none: the wheels bring their own CUDA",
        "a GPU other than RTX 5090",
    )
    # The links say the same.
    assert [fact.change for fact in found.chains[0]] == [found.changes[1], "", "", found.changes[0]]


def test_independent_reasons_are_told_apart_and_one_change_may_end_them_all() -> None:
    where = box(gpu="RTX 4060", cores=2, driver="580.95.05")
    assert chains(where, ask()) == [
        "the largest GPU here, RTX 4060, has 8.6 GB of VRAM → autoglm-phone-9b needs 24 GB of VRAM",
        "2 cores here → autoglm-phone-9b needs 4 cores",
    ]
    assert conflict(where, ask()).changes == (
        "take --profile gemma3-270m-transformers, which runs on the CPU",
        "a GPU with 24 GB of VRAM, and a machine with more cores",
    )


def test_nothing_known_is_possible_and_says_what_was_not_checked() -> None:
    where = box(
        gpu=None, os=None, arch=None, memory=None, cores=None, driver=None, disk=None, secure_boot=None
    )
    (note,) = decision(where, ask(cuda="none")).notes
    assert note == (
        "not known, so not checked: the system, the architecture, whether Secure Boot is on, its own Python, "
        "the GPUs, whether an NVIDIA driver is loaded, the number of cores, the memory, the free disk space"
    )


@pytest.mark.parametrize(("profile", "note"), [(GPU_PROFILE, True), ("gemma3-270m", False)])
def test_the_device_follows_the_profile(profile: str, note: bool) -> None:
    found = decision(box(driver="580.95.05", secure_boot=False), ask(profile))
    assert (found.route("toolkit").action == "install") is note


GPUS = (
    "none", "GTX 1080 Ti", "P40", "V100 32GB", "T4", "RTX 3090", "RTX 4090", "8x H100", "RTX 5090", "GB10",
    "V100 32GB + RTX 4090", "RTX 4090 + RTX 5090",
)  # fmt: skip
SYSTEMS = (
    "ubuntu20.04",
    "ubuntu22.04",
    "ubuntu24.04",
    "debian12",
    "debian13",
    "rhel9",
    "centos7",
    "wsl2",
    "macos",
)
DRIVERS = (None, "none", "470.256.02", "535.274.02", "550.54.14", "570.211.01", "580.95.05", "615.71.09")


@st.composite
def questions(draw: st.DrawFn) -> tuple[Box, Ask]:
    """A box in words, and what is asked of it; two words that cannot go together are put right."""
    words: dict[str, Any] = {
        "gpu": draw(st.sampled_from(GPUS)),
        "os": draw(st.sampled_from(SYSTEMS)),
        "driver": draw(st.sampled_from(DRIVERS)),
        "memory": draw(st.sampled_from((None, "8GB", "64GB"))),
        "secure_boot": draw(st.sampled_from((None, False, True))),
        "root": draw(st.booleans()),
        "arch": None,
    }
    if words["os"] == "macos":
        words |= {"gpu": "none"}
    if words["gpu"] == "none":
        words |= {"driver": None}
    if words["os"] == "wsl2":
        words |= {"secure_boot": None}
    asked: dict[str, Any] = {
        "profile": draw(st.sampled_from((GPU_PROFILE, "autoglm-phone-9b-nf4", "gemma3-270m"))),
        "cuda": draw(st.sampled_from((None, None, "none", "12.4", "12.8", "13.0"))),
        "driver": draw(st.sampled_from((None, None, None, "keep", "550", "580"))),
        "upgrade": draw(st.booleans()),
    }
    return box(**words), ask(**asked)


@given(questions())
@settings(max_examples=60, deadline=None)
def test_of_every_decision_and_every_conflict(question: tuple[Box, Ask]) -> None:
    where, wanted = question
    found = decide(where, wanted)
    if isinstance(found, Conflict):
        conflict(where, wanted)
        return
    sound(where, wanted, found)


def sound(where: Box, wanted: Ask, found: Decision) -> None:
    """Checked against the data, not against the rules."""
    driver, toolkit = found.route("driver"), found.route("toolkit")
    if where.wsl or where.container or not where.root:
        assert driver.action not in ("install", "upgrade")
    if not where.root:
        assert toolkit.action == "none"
    capabilities = {entry.capability: entry for entry in knowledge.capabilities()}
    for device in where.gpus or ():
        entry = capabilities[device.capability or ""]
        if toolkit.version:
            assert version(entry.first_cuda) <= version(toolkit.version)
            assert version(toolkit.version) <= version(entry.last_cuda or "99")
        architecture = next(one for one in knowledge.architectures() if one.name == entry.architecture)
        if driver.action in ("install", "upgrade"):
            branch = version(driver.version)[0]
            assert architecture.first_branch <= branch <= (architecture.last_branch or branch)
            assert driver.extra["modules"] in architecture.modules
    if toolkit.version and driver.version:
        needed = next(one.driver for one in knowledge.toolkits() if one.cuda == toolkit.version)
        assert version(driver.version) >= version(needed)
    for wheel in knowledge.wheels():
        if f"{wheel.package}=={wheel.version}" in found.route("environment").packages:
            assert where.glibc is None or version(where.glibc) >= version(wheel.glibc)
            assert where.facts.os.id != "macos" or "macos" in wheel.systems
    if driver.action == "keep" and where.driver:
        assert driver.version == where.driver
    assert not any(problem_of(where, wanted).contradict([fact]) for fact in found.facts)


def test_a_decision_that_breaks_a_promise_would_be_seen() -> None:
    where, wanted = box(gpu="RTX 5090", os="wsl2", secure_boot=None, driver="580.95.05"), ask()
    found = decide(where, wanted)
    assert isinstance(found, Decision)
    sound(where, wanted, found)
    others = found.routes[2:]
    installed = Route("driver", "install", "580.178.04", extra={"modules": "open"})
    old = Route("toolkit", "install", "12.4")
    for routes in ((installed, found.routes[1], *others), (found.routes[0], old, *others)):
        with pytest.raises(AssertionError):
            sound(where, wanted, Decision(routes, found.facts, found.notes, found.scope))


def test_what_is_asked_of_a_driver_for_unknown_gpus_is_said_to_be_left_out() -> None:
    unknown = box(gpu=None)
    assert unknown.gpus is None
    said = "what was asked of the driver was not looked at: which GPUs are here is not known"
    assert said in decision(unknown, ask(driver="470")).notes
    assert said not in decision(unknown, ask()).notes


def test_in_wsl_it_is_said_where_a_driver_belongs() -> None:
    words: dict[str, Any] = {"os": "wsl2", "secure_boot": None}
    here = box(gpu="RTX 4090", driver="580.95.05", **words)
    left_out = "nvidia_driver_without_gpu=install is left out: in WSL2 the driver is Windows' own"
    assert left_out in decision(here, ask(without_gpu=True)).notes
    assert left_out not in decision(here, ask()).notes
    none = box(gpu="none", driver=None, **words)
    wanted = ask(profile="gemma3-270m", driver="580")
    assert decision(none, wanted).notes[0] == (
        "WSL shows no NVIDIA GPU: where Windows has one, install its driver there, then wsl --shutdown"
    )


def test_in_wsl_a_debian_gets_no_toolkit_and_hears_why() -> None:
    found = decision(box(gpu="RTX 4090", os="wsl-debian13", secure_boot=None, driver="580.95.05"), ask())
    assert (found.route("driver").action, found.route("toolkit").action) == ("windows", "none")
    assert found.notes[0] == (
        "no CUDA toolkit, not 12.4: Debian GNU/Linux 13 (trixie) here, no way to install a CUDA toolkit on "
        "wsl-debian13 is known, as Ubuntu's is the only one that NVIDIA keeps for WSL, and others bring "
        "a driver"
    )


def test_a_driver_for_gpus_that_nobody_could_look_at_runs_the_wheels() -> None:
    """Found by the search over thousands of boxes: CUDA 13 was planned on a driver of branch 525."""
    unknown = box(gpu=None, driver=None)
    assert unknown.gpus is None
    newest = next(one for one in every_profile() if one.environment.lock == "transformers-cuda13")
    refused = decide(unknown, replace(ask(driver="525", without_gpu=True), profile=newest))
    assert isinstance(refused, Conflict)
    assert "programs of CUDA 13.0 run on driver 580" in str(refused.chains[0])
    allowed = decide(unknown, replace(ask(driver="580", without_gpu=True), profile=newest))
    assert isinstance(allowed, Decision)
