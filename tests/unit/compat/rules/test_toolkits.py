"""Which CUDA toolkit, by which way, or why none."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.errors import UsageError

from .asking import CPU_PROFILE, ON_ARM, ask, box, chains, conflict, decision

NONE = "no CUDA toolkit, not 12.4"
NEEDS = "CUDA 12.4 needs driver 550.54.14 or newer"
BY_ROOT = "a CUDA toolkit is installed for the whole system, by root"
WINDOWS = "in WSL2 the driver is Windows' own: none is installed inside"
SM_120 = ["RTX 5090 here", "RTX 5090 is sm_120 (Blackwell)", "sm_120 needs CUDA 12.8 or newer"]


@pytest.mark.parametrize(
    ("words", "asked", "toolkit", "packages", "compiler"),
    [
        ({}, {}, "12.4 nvidia-repository", ("cuda-toolkit-12-4",), None),
        ({"os": "ubuntu24.04"}, {}, "12.4 runfile", ("g++-13", "libxml2"), "g++-13"),
        ({"os": "debian13", "gpu": "V100 32GB"}, {}, "12.4 debian", ("nvidia-cuda-toolkit", "g++-13"),
         "g++-13"),
        ({"os": "rhel9"}, {}, "12.4 nvidia-repository", ("cuda-toolkit-12-4",), None),
        ({"os": "wsl-22.04", "driver": "560.35.05", "secure_boot": None}, {}, "12.4 nvidia-repository-wsl",
         ("cuda-toolkit-12-4",), None),
        # The oldest that knows every GPU.
        ({"gpu": "RTX 5090"}, {}, "12.8 nvidia-repository", ("cuda-toolkit-12-8",), None),
        ({"gpu": "GB10", "arch": "aarch64", "os": "ubuntu24.04"}, {"overrides": ON_ARM},
         "12.9 nvidia-repository",
         ("cuda-toolkit-12-9",), None),
        ({"gpu": "RTX 5090 + RTX 4090"}, {}, "12.8 nvidia-repository", ("cuda-toolkit-12-8",), None),
        # What was asked for, older or newer, or none.
        ({}, {"cuda": "12.1"}, "12.1 nvidia-repository", ("cuda-toolkit-12-1",), None),
        ({}, {"cuda": "12.9"}, "12.9 nvidia-repository", ("cuda-toolkit-12-9",), None),
        ({}, {"cuda": "none"}, " ", (), None),
        # On the CPU's route only who asks gets one, with a GPU or without.
        ({"profile": CPU_PROFILE}, {}, " ", (), None),
        ({"profile": CPU_PROFILE, "gpu": "none", "driver": None}, {"cuda": "12.4"}, "12.4 nvidia-repository",
         ("cuda-toolkit-12-4",), None),
    ],
)  # fmt: skip
def test_the_toolkit(
    words: dict[str, Any],
    asked: dict[str, Any],
    toolkit: str,
    packages: tuple[str, ...],
    compiler: str | None,
) -> None:
    profile = words.get("profile", "autoglm-phone-9b")
    words = {name: value for name, value in words.items() if name != "profile"}
    route = decision(box(**words), ask(profile, **asked)).route("toolkit")
    assert (f"{route.version} {route.way}", route.packages) == (toolkit, packages)
    assert route.extra.get("compiler") == compiler


@pytest.mark.parametrize(
    ("words", "asked", "note"),
    [
        ({"gpu": "RTX 5090"}, {}, f"CUDA toolkit 12.8, not 12.4: {', '.join(SM_120)}"),
        (
            {"driver": "580.95.05", "root": False},
            {},
            f"{NONE}: user is not root here and sudo does not work, {BY_ROOT}",
        ),
        (
            {"driver": "535.274.02", "os": "wsl2", "secure_boot": None},
            {},
            f"{NONE}: driver 535.274.02 is loaded, WSL2 here, {NEEDS}, {WINDOWS}",
        ),
        ({}, {}, None),
        ({}, {"cuda": "12.8"}, None),
    ],
)
def test_a_note_says_why_it_is_not_the_usual_one(
    words: dict[str, Any], asked: dict[str, Any], note: str | None
) -> None:
    found = [one for one in decision(box(**words), ask(**asked)).notes if "toolkit" in one]
    assert found == ([note] if note else [])


@pytest.mark.parametrize(
    ("words", "asked", "told", "changes"),
    [
        (
            {"gpu": "RTX 5090"},
            {"cuda": "12.4"},
            [*SM_120, "--cuda 12.4"],
            ["say --cuda 12.8, or --cuda none: the wheels bring their own CUDA", "a GPU other than RTX 5090"],
        ),
        (
            {"gpu": "V100 32GB"},
            {"cuda": "13.0"},
            [
                "Tesla V100-PCIE-32GB here", "Tesla V100-PCIE-32GB is sm_70 (Volta)",
                "CUDA 12.9 is the last for sm_70", "--cuda 13.0",
            ],
            [
                "say --cuda 12.4, or --cuda none: the wheels bring their own CUDA",
                "a GPU other than Tesla V100-PCIE-32GB",
            ],
        ),
        (
            {"os": "ubuntu25.10"},
            {"cuda": "12.4"},
            ["Ubuntu 25.10 here", "no way to install a CUDA toolkit on ubuntu25.10 is known", "--cuda 12.4"],
            ["say --cuda none: the wheels bring their own CUDA", "another system"],
        ),
        (
            {"driver": "550.54.14"},
            {"cuda": "12.8", "driver": "keep"},
            [
                "driver 550.54.14 is loaded", "CUDA 12.8 needs driver 570.26 or newer", "--cuda 12.8",
                "--branch keep",
            ],
            ["say --branch auto", "say --cuda 12.4, or --cuda none: the wheels bring their own CUDA"],
        ),
    ],
)  # fmt: skip
def test_why_not(words: dict[str, Any], asked: dict[str, Any], told: list[str], changes: list[str]) -> None:
    where, wanted = box(**words), ask(**asked)
    assert [one.split(" → ") for one in chains(where, wanted)] == [told]
    assert list(conflict(where, wanted).changes) == changes


def test_what_was_said_to_help_helps() -> None:
    where = box(gpu="RTX 5090")
    assert decision(where, ask(cuda="12.8")).route("toolkit").version == "12.8"
    assert decision(where, ask(cuda="none")).route("toolkit").action == "none"


def test_a_release_that_nobody_knows_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"CUDA 12\.44: no such release is known") as caught:
        chains(box(), ask(cuda="12.44"))
    assert caught.value.hint == "did you mean 12.4?"
