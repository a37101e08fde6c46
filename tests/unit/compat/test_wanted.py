"""What is asked of driver and toolkit, from variables and from the options that are short for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from provisioner.compat.wanted import Wanted, said, wanted
from provisioner.errors import UsageError


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, Wanted()),
        ({"nvidia_driver_branch": "auto", "cuda_toolkit_version": "auto"}, Wanted()),
        ({"nvidia_driver_branch": "550"}, Wanted(driver="550")),
        ({"nvidia_driver_branch": "keep"}, Wanted(driver="keep")),
        # As an inventory without quotes says them.
        ({"nvidia_driver_branch": 550, "cuda_toolkit_version": 12.4}, Wanted(driver="550", cuda="12.4")),
        ({"cuda_toolkit_version": "none"}, Wanted(cuda="none")),
        ({"nvidia_driver_modules": "open"}, Wanted(modules="open")),
        ({"nvidia_driver_modules": "proprietary"}, Wanted(modules="proprietary")),
        ({"nvidia_driver_without_gpu": "install"}, Wanted(without_gpu=True)),
        ({"nvidia_driver_without_gpu": "skip"}, Wanted()),
        (
            {"nvidia_driver_route": "debian", "cuda_toolkit_route": "runfile"},
            Wanted(driver_route="debian", toolkit_route="runfile"),
        ),
    ],
)
def test_variables_say_it(variables: Mapping[str, Any], asked: Wanted) -> None:
    assert wanted(variables) == asked


@pytest.mark.parametrize(
    ("variables", "message", "hint"),
    [
        (
            {"nvidia_driver_branch": "55O"},
            "driver branch 55O: no such branch is known",
            "did you mean 550?",
        ),
        ({"nvidia_driver_branch": "581"}, "driver branch 581: no such branch is known", "did you mean 580?"),
        ({"cuda_toolkit_version": "11.0"}, "CUDA 11.0: no such release is known", "did you mean 11.8?"),
        ({"cuda_toolkit_version": "12.44"}, "CUDA 12.44: no such release is known", "did you mean 12.4?"),
        ({"cuda_toolkit_version": "nome"}, "CUDA nome: no such release is known", "did you mean none?"),
        ({"cuda_toolkit_route": "debain"}, "route debain: no such way is known", "did you mean debian?"),
        (
            {"nvidia_driver_route": "nvidia-repository-wsl"},
            "route nvidia-repository-wsl: no such way is known",
            "did you mean nvidia-repository?",
        ),
        (
            {"nvidia_driver_modules": "free"},
            "kernel modules free: no such kind is known",
            "one of auto, open, proprietary",
        ),
    ],
)
def test_what_nobody_knows_is_named_with_the_nearest(
    variables: Mapping[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        wanted(variables)
    assert (refused.value.message, refused.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ((None, None, None), {}),
        (("12.4", "580", None), {"cuda_toolkit_version": "12.4", "nvidia_driver_branch": "580"}),
        (("auto", None, None), {"cuda_toolkit_version": "auto"}),
        # A way is that of all that it installs.
        ((None, None, "debian"), {"nvidia_driver_route": "debian", "cuda_toolkit_route": "debian"}),
        ((None, None, "ubuntu-prebuilt"), {"nvidia_driver_route": "ubuntu-prebuilt"}),
        ((None, None, "nvidia-repository-wsl"), {"cuda_toolkit_route": "nvidia-repository-wsl"}),
        ((None, None, "auto"), {"nvidia_driver_route": "auto", "cuda_toolkit_route": "auto"}),
    ],
)
def test_options_are_short_for_variables(
    options: tuple[str | None, str | None, str | None], variables: Mapping[str, str]
) -> None:
    assert said(*options) == variables


@pytest.mark.parametrize("options", [("12,4", None, None), (None, "58", None), (None, None, "runfil")])
def test_options_that_nobody_knows_are_refused(options: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(UsageError, match=r"no such \w+ is known"):
        said(*options)
