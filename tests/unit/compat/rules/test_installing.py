"""By which way a driver is installed, and where none is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from provisioner.compat import knowledge

from .asking import ON_ARM, ask, box, chains, conflict, decision

P = "autoglm-phone-9b"
RUNS = f"{P} runs on an NVIDIA GPU"
NONE = "no NVIDIA driver is loaded"
WINDOWS = "in WSL2 the driver is Windows' own: none is installed inside"
HOST = "a container uses the driver of the machine that runs it"
ON_CPU = "take --profile gemma3-270m-transformers, which runs on the CPU"
PREBUILT = (
    "linux-modules-nvidia-580-server-open-generic",
    "nvidia-headless-no-dkms-580-server-open",
    "nvidia-utils-580-server",
)


@pytest.mark.parametrize(
    ("words", "asked", "way", "packages"),
    [
        (
            {},
            {},
            "ubuntu-prebuilt",
            PREBUILT,
        ),
        ({"os": "debian12"}, {}, "nvidia-repository", ("nvidia-driver-pinning-580", "nvidia-open")),
        ({"os": "debian12"}, {"driver": "535", "route": "debian", "cuda": "none"}, "debian",
         ("nvidia-driver", "nvidia-kernel-dkms", "firmware-nvidia-gsp", "libcuda1", "nvidia-smi")),
        ({"os": "debian13", "gpu": "V100 32GB"}, {}, "debian",
         ("nvidia-driver", "nvidia-kernel-dkms", "firmware-nvidia-gsp", "libcuda1", "nvidia-smi")),
        ({"os": "rhel9"}, {}, "nvidia-repository",
         ("@nvidia-driver:580-open", "nvidia-driver", "nvidia-driver-cuda",
          "python3-dnf-plugin-versionlock")),
        ({}, {"route": "runfile"}, "runfile", ()),
        ({"arch": "aarch64", "gpu": "GB10"}, {"overrides": ON_ARM}, "ubuntu-prebuilt",
         PREBUILT),
    ],
)  # fmt: skip
def test_the_way_and_its_packages(
    words: dict[str, Any], asked: dict[str, Any], way: str, packages: tuple[str, ...]
) -> None:
    route = decision(box(**words), ask(**{"cuda": "none", **asked})).route("driver")
    assert (route.way, route.packages) == (way, packages)


@pytest.mark.parametrize(
    ("words", "seen", "asked", "told", "changes"),
    [
        (
            {"os": "wsl2", "secure_boot": None},
            {},
            {},
            [NONE, "WSL2 here", WINDOWS, RUNS],
            [ON_CPU, "install the NVIDIA driver in Windows"],
        ),
        (
            {"os": "wsl2", "secure_boot": None, "driver": "470.256.02"},
            {},
            {},
            ["driver 470.256.02 is loaded", "WSL2 here", WINDOWS, f"{P} needs driver 525 or newer"],
            ["update the NVIDIA driver in Windows", f"a GPU other than RTX 4090, and {ON_CPU}"],
        ),
        (
            {},
            {"container": "docker"},
            {},
            [NONE, "a container (docker) here", HOST, RUNS],
            [
                ON_CPU, "run it outside the container",
                "install the driver of the machine that runs the container",
            ],
        ),
        (
            {"root": False},
            {},
            {},
            [
                NONE, "user is not root here and sudo does not work",
                "a driver is installed for the whole system, by root", RUNS,
            ],
            None,
        ),
        (
            {},
            {},
            {"scope": "user"},
            [NONE, "a driver is installed for the whole system, by root", "--scope user", RUNS],
            None,
        ),
        (
            {"secure_boot": True},
            {},
            {"route": "runfile"},
            [
                "Ubuntu 22.04 LTS here", NONE, "Secure Boot is on",
                "on ubuntu22.04 driver 535, 550, 570, 580, 595 and 615 can be installed",
                "modules of runfile are signed by nobody whom Secure Boot trusts", "--route runfile", RUNS,
            ],
            [ON_CPU, "say --route auto", "turn Secure Boot off in the firmware", "another system"],
        ),
        (
            {},
            {"id": "arch", "version_id": "", "pretty": "Arch Linux"},
            {},
            ["Arch Linux here", NONE, "no way to install a driver on Arch Linux is known", RUNS],
            [ON_CPU, "another system"],
        ),
    ],
)  # fmt: skip
def test_none_is_installed(
    words: dict[str, Any],
    seen: dict[str, Any],
    asked: dict[str, Any],
    told: list[str],
    changes: list[str] | None,
) -> None:
    where, wanted = box(seen=seen, **words), ask(**asked)
    found = [one.split(" → ") for one in chains(where, wanted)]
    assert found == [told]
    if changes is not None:
        assert list(conflict(where, wanted).changes) == changes


def test_the_driver_of_an_image_is_never_installed() -> None:
    told = chains(box(gpu="Jetson AGX Orin", arch="aarch64", os="ubuntu22.04"), ask(cuda="none"))
    assert ["the driver of Orin is part of its system's image" in one for one in told].count(True) == 1


def test_secure_boot_prefers_what_the_distribution_signed() -> None:
    route = decision(box(secure_boot=True), ask(driver="580")).route("driver")
    assert (route.way, "mok" in route.extra) == ("ubuntu-prebuilt", False)


@pytest.mark.parametrize(
    ("os", "asked", "certificate"),
    [
        ("debian12", {}, "/var/lib/dkms/mok.pub"),
        ("ubuntu22.04", {"route": "nvidia-repository"}, "/var/lib/shim-signed/mok/MOK.der"),
    ],
)
def test_a_key_of_the_machine_is_enrolled_in_exact_steps(
    os: str, asked: dict[str, Any], certificate: str
) -> None:
    found = decision(box(os=os, secure_boot=True), ask(**asked))
    assert found.route("driver").extra["mok"] == (
        f"mokutil --import {certificate} and choose a password; restart; in the blue menu choose Enroll MOK, "
        "Continue, Yes, and give the password; restart"
    )
    assert "mok" not in decision(box(os=os), ask(**asked)).route("driver").extra


@pytest.mark.parametrize(
    ("gpu", "package"),
    [
        ("8x H100", "nvidia-fabricmanager-580=580.178.04"),
        ("4x H100", None),
        ("8x RTX 4090", None),
    ],
)
def test_nvswitch_gets_a_fabric_manager_of_the_same_version(gpu: str, package: str | None) -> None:
    route = decision(box(gpu=gpu), ask()).route("driver")
    assert route.version == "580.178.04"
    assert route.extra.get("fabricmanager") == package


@pytest.mark.parametrize(("kernel", "branch"), [("6.5.0-9-generic", 580), ("6.6.0-9-generic", 570)])
def test_modules_that_are_built_must_build_for_the_kernel(
    monkeypatch: pytest.MonkeyPatch, kernel: str, branch: int
) -> None:
    older = tuple(
        msgspec.structs.replace(entry, kernel_before="6.6") if entry.branch >= 575 else entry
        for entry in knowledge.branches()
    )
    monkeypatch.setattr(knowledge, "branches", lambda: older)
    found = decision(box(os="debian12", seen={"kernel": kernel}), ask(cuda="none"))
    assert int(found.route("driver").version.partition(".")[0]) == branch


def test_what_the_distribution_built_needs_no_building(monkeypatch: pytest.MonkeyPatch) -> None:
    older = tuple(msgspec.structs.replace(entry, kernel_before="5.0") for entry in knowledge.branches())
    monkeypatch.setattr(knowledge, "branches", lambda: older)
    assert decision(box(), ask()).route("driver").way == "ubuntu-prebuilt"
    assert "kernel 6.1 here" in chains(box(os="debian12"), ask())[0]


def test_a_system_that_was_not_named_takes_any_way() -> None:
    where = box(os=None)
    found = decision(replace(where), ask())
    assert (found.route("driver").version[:3], found.route("driver").way) == ("580", "")
    assert found.route("driver").text.endswith("by a way that depends on the system")
