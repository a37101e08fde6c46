"""Wheels against the C library, the interpreter, the machine, the GPU and the driver."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.compat import knowledge
from provisioner.compat.rules.wheels import fits, in_words, runs_on
from provisioner.errors import UsageError

from .asking import CPU_PROFILE, GPU_PROFILE, ask, box, chains, decision

NO_GPU: dict[str, Any] = {"gpu": "none", "driver": None}


@pytest.mark.parametrize(
    ("capabilities", "device", "how"),
    [
        (("8.0", "8.6"), "8.6", "yes"),
        # Machine code runs on every later minor of its major, and on no earlier one.
        (("8.0",), "8.9", "yes"),
        (("8.9",), "8.6", "no"),
        (("7.5", "9.0"), "8.6", "no"),
        (("9.0",), "12.0", "no"),
        (("9.0", "9.0+PTX"), "12.0", "compiled"),
        (("9.0+PTX",), "9.0", "yes"),
        (("12.0+PTX",), "9.0", "no"),
        # Architecture-specific code runs on just that one; a family's on its major.
        (("9.0a",), "9.0", "yes"),
        (("10.0a",), "10.3", "no"),
        (("10.0f",), "10.3", "yes"),
        ((), "8.6", "no"),
    ],
)
def test_code_for_one_gpu_on_another(capabilities: tuple[str, ...], device: str, how: str) -> None:
    assert runs_on(capabilities, device) == how


@pytest.mark.parametrize(
    ("python", "wanted", "does"),
    [
        ("3.12", ">=3.10", True),
        ("3.9.18", ">=3.10", False),
        ("3.11.2", "==3.11.*", True),
        ("3.12", "==3.11.*", False),
        ("3.14", ">=3.10,<3.14", False),
        ("3.10", ">=3.9", True),
        ("3.15.0rc1", ">=3.10", True),
    ],
)
def test_versions_of_python(python: str, wanted: str, does: bool) -> None:
    assert fits(python, wanted) is does


def test_a_constraint_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match=r"environment\.python: 'three' names no versions of Python"):
        fits("3.12", "three")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (">=3.10", "3.10 or newer"),
        ("==3.11.*", "3.11"),
        (">=3.10,<3.14", "3.10 to 3.13"),
        (">=3.10,<4", ">=3.10,<4"),
        ("~=3.11", "~=3.11"),
    ],
)
def test_constraints_in_words(wanted: str, words: str) -> None:
    assert in_words(wanted) == words


@pytest.mark.parametrize(
    ("words", "profile", "route"),
    [
        ({}, GPU_PROFILE, ("keep", "3.10", "")),
        # The system's own is too old, or too new: uv brings one, the one with the most wheels first.
        ({"os": "ubuntu20.04"}, GPU_PROFILE, ("install", "3.12", "uv")),
        ({"os": "debian13"} | NO_GPU, "gemma3-270m-transformers", ("install", "3.11", "uv")),
        ({"os": "debian12"} | NO_GPU, "gemma3-270m-transformers", ("keep", "3.11", "")),
    ],
)  # fmt: skip
def test_the_interpreter(words: dict[str, Any], profile: str, route: tuple[str, str, str]) -> None:
    found = decision(box(**words), ask(profile, cuda="none")).route("python")
    assert (found.action, found.version, found.way) == route


def torch(**changes: Any) -> knowledge.Wheel:
    """The one wheel of the GPU's stack, as a row has it."""
    values: dict[str, Any] = {
        "package": "torch", "version": "9.9", "python": ">=3.10", "glibc": "2.28", "cuda": "12.8",
        "capabilities": ("8.0", "9.0"), "source": "a test", "confidence": "ran",
    }  # fmt: skip
    return knowledge.Wheel(**values | changes)


@pytest.fixture
def wheels(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replaces what is known of wheels by one wheel, which the GPU's stack consists of."""

    def give(wheel: knowledge.Wheel) -> None:
        monkeypatch.setattr("provisioner.compat.rules.wheels._by_requirement", lambda: {"torch==9.9": wheel})
        stack = next(one for one in knowledge.stacks() if one.lock == "transformers-cuda")
        only = (msgspec.structs.replace(stack, wheels=("torch==9.9",)),)
        monkeypatch.setattr(knowledge, "stacks", lambda: only)

    return give


USES = f"{GPU_PROFILE} uses torch 9.9"
ADA = ["RTX 4090 here", "RTX 4090 is sm_89 (Ada)"]


@pytest.mark.parametrize(
    ("changes", "words", "told"),
    [
        (
            {"glibc": "2.36"},
            {},
            ["Ubuntu 22.04 LTS has glibc 2.35", "torch 9.9 wheels need glibc 2.36 or newer", USES],
        ),
        (
            {"arches": ("aarch64",)},
            {},
            ["x86_64 here", "torch 9.9 has wheels for aarch64", USES],
        ),
        (
            {"systems": ("macos",)},
            {},
            ["Ubuntu 22.04 LTS here", "torch 9.9 has wheels for macOS", USES],
        ),
        (
            {"capabilities": ("7.5", "9.0")},
            {},
            [*ADA, "torch 9.9 has code for sm_75 and sm_90", USES],
        ),
        (
            {"driver": "580.1"},
            {"driver": "570.211.01", "root": False},
            [
                "driver 570.211.01 is loaded", "user is not root here and sudo does not work",
                "torch 9.9 needs driver 580.1 or newer",
                "a driver is installed for the whole system, by root", USES,
            ],
        ),
        # A newer CUDA of the same major runs on an older driver; of another major not.
        ({}, {"driver": "550.54.14"}, None),
        (
            {"cuda": "13.0"},
            {"driver": "570.211.01", "root": False},
            [
                "driver 570.211.01 is loaded", "user is not root here and sudo does not work",
                "torch 9.9 brings CUDA 13.0", "programs of CUDA 13.0 run on driver 580.65.06 or newer",
                "a driver is installed for the whole system, by root", USES,
            ],
        ),
        # Code that the driver has to compile needs one that knows its CUDA.
        ({"capabilities": ("8.0+PTX",), "cuda": "12.8"}, {"driver": "550.54.14"}, None),
        ({"capabilities": ("7.5+PTX",), "cuda": "12.8"}, {"driver": "580.95.05", "root": False}, None),
        (
            {"capabilities": ("7.5+PTX",), "cuda": "12.8"},
            {"driver": "550.54.14", "root": False},
            [
                ADA[0], "driver 550.54.14 is loaded", "user is not root here and sudo does not work", ADA[1],
                "torch 9.9 has code for sm_75+PTX", "torch 9.9 brings CUDA 12.8",
                "CUDA 12.8's intermediate code needs driver 570.26 or newer",
                "a driver is installed for the whole system, by root", USES,
            ],
        ),
    ],
)  # fmt: skip
def test_a_wheel_on_a_box(
    wheels: Any, changes: dict[str, Any], words: dict[str, Any], told: list[str] | None
) -> None:
    wheels(torch(**changes))
    where, wanted = box(**words), ask(cuda="none")
    if told is None:
        assert decision(where, wanted).route("environment").packages == ("torch==9.9",)
    else:
        assert [sorted(one.split(" → ")) for one in chains(where, wanted)] == [sorted(told)]


@pytest.mark.parametrize("python", [">=3.15", "==3.9.*"])
def test_a_wheel_for_no_interpreter_there_is(wheels: Any, python: str) -> None:
    wheels(torch(python=python))
    told = chains(box(), ask())
    assert len(told) == 1
    assert f"torch 9.9 has wheels for Python {in_words(python)}" in told[0]


def test_musl_has_none_of_them() -> None:
    where = box(seen={"id": "alpine", "version_id": "3.20", "pretty": "Alpine Linux 3.20", "libc": "musl",
                      "libc_version": ""}, gpu="none", driver=None)  # fmt: skip
    told = chains(where, ask(CPU_PROFILE))
    assert len(told) == 1
    assert told[0].startswith("Alpine Linux 3.20 has musl, not glibc → xllamacpp ")


def test_an_environment_of_ones_own_is_said_not_to_be_known(tmp_path: Any) -> None:
    lock = tmp_path / "own.txt"
    lock.write_text("torch==2.0\n")
    wanted = ask(overrides={"environment.lock": str(lock)})
    assert f"what the wheels of {lock} need is not known here" in decision(box(), wanted).notes
