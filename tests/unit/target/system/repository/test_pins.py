"""What apt is told to take from NVIDIA's repository."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
import yaml

from provisioner.target.probe.driver_names import is_driver
from provisioner.target.system.repository import pins

_PACKAGES = yaml.safe_load(Path(__file__).with_name("packages.yml").read_text())
OF_A_DRIVER: list[str] = _PACKAGES["driver"]
OF_OTHERS: list[str] = _PACKAGES["others"]
TRAPS = ["cuda", "cuda-12-4", "cuda-12", "cuda-runtime-12-4", "cuda-demo-suite-12-4"]


def priority(package: str, text: str, label: str = "NVIDIA CUDA") -> int:
    """As apt_preferences(5) has it: the first record that names the package, else the first for all."""
    records = [dict(line.split(": ", 1) for line in part.splitlines()) for part in text.split("\n\n")]
    records = [{key: value for key, value in record.items() if not key.startswith("#")} for record in records]
    matching = [one for one in records if one["Pin"] in (f"release l={label}", "version *")]
    for general in (False, True):
        for one in matching:
            globs = one["Package"].split()
            if (globs == ["*"]) == general and any(fnmatch.fnmatchcase(package, glob) for glob in globs):
                return int(one["Pin-Priority"])
    return 500


def text(*, driver: bool = False, wsl: bool = False, ours: bool = True) -> str:
    return pins.text(driver, wsl, ours).split("\n", 1)[1]


def test_the_file_says_who_wrote_it() -> None:
    assert pins.text(False, True, False).startswith(
        "# Written by provision; changes are overwritten.\nPackage: libnvidia-container* "
    )
    assert pins.text(False, True, False).endswith("\nPin: version *\nPin-Priority: -1\n")


@pytest.mark.parametrize("package", OF_A_DRIVER)
def test_a_driver_comes_from_it_only_when_asked(package: str) -> None:
    assert priority(package, text()) == -1
    assert priority(package, text(driver=True)) == 600
    # The distribution's own is never touched.
    assert priority(package, text(), "Ubuntu") == priority(package, text(driver=True), "Ubuntu") == 500


@pytest.mark.parametrize("package", OF_A_DRIVER + TRAPS)
def test_inside_wsl_no_driver_comes_from_anywhere(package: str) -> None:
    for label in ("NVIDIA CUDA", "Ubuntu"):
        assert priority(package, text(wsl=True), label) == -1
        assert priority(package, text(wsl=True, ours=False), label) == -1


@pytest.mark.parametrize("package", TRAPS)
def test_a_meta_package_that_drags_a_driver_along_never_comes(package: str) -> None:
    assert priority(package, text()) == priority(package, text(driver=True)) == -1


@pytest.mark.parametrize("package", OF_OTHERS)
@pytest.mark.parametrize("wsl", [False, True])
def test_the_rest_comes_where_nobody_else_has_it(package: str, wsl: bool) -> None:
    assert priority(package, text(wsl=wsl)) == 100
    assert priority(package, text(wsl=wsl), "Ubuntu") == 500
    assert priority(package, text(wsl=wsl, ours=not wsl), "Ubuntu") == 500


@pytest.mark.parametrize("package", OF_A_DRIVER + OF_OTHERS)
def test_the_rest_of_the_tool_takes_the_same_packages_for_a_drivers(package: str) -> None:
    ours = priority(package, text()) == -1
    assert ours == is_driver(package)
