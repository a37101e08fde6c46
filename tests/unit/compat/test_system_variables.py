"""Which of the roles that change the system are in a plan, and what they are told: whole roles compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import msgspec
import pytest

from provisioner.compat import Plan, Settings, WhyNot, knowledge, make_plan
from provisioner.compat.described import described
from provisioner.compat.roles import BY_NEED, DECIDED, defaults
from provisioner.compat.wanted import RESOLVED, driver_ways, toolkit_ways
from provisioner.errors import ProvisionError
from provisioner.facts import SYSTEM_PLACES, Facts, Receipt
from provisioner.target.probe.driver_names import is_driver
from provisioner.target.system.repository.pins import TRAPS

BASE: dict[str, Any] = {
    "memory": "64GB",
    "cores": 16,
    "disk": "500GB",
    "secure_boot": False,
    "arch": "x86_64",
}


def box(**words: Any) -> Facts:
    """A box in words, whose driver is known not to be there unless a word says another."""
    said = {**BASE, "gpu": "RTX 4090", "os": "ubuntu24.04", "driver": "none", **words}
    if said["gpu"] == "none":
        said["driver"] = None
    if said["os"] == "wsl2":
        said["secure_boot"] = None
    return described(**said)


def told(facts: Facts, **settings: Any) -> dict[str, dict[str, Any]]:
    """What the roles in the plan are told that is not their default."""
    plan = make_plan(facts, Settings(**settings))
    assert isinstance(plan, Plan), str(plan)
    return {
        role: {name: value for name, value in values.items() if value != defaults(role)[name]}
        for role, values in plan.roles.items()
        if role in BY_NEED
    }


def kept(facts: Facts, roles: Mapping[str, Mapping[str, Any]], whole: bool = True) -> Facts:
    """The same box with the receipts of roles that were told this, and all (or not all) of it there."""
    there, gone = {"state": "present", "version": "1"}, {"state": "absent"}
    receipts = [receipt(role, inputs, there, there if whole else gone) for role, inputs in roles.items()]
    return replace(facts, receipts=(*facts.receipts, *receipts))


def receipt(role: str, inputs: Mapping[str, Any], value: Any, observed: Any) -> Receipt:
    """One receipt, of one resource."""
    resource = {
        "id": f"{role}.x",
        "kind": "package",
        "name": "x",
        "value": value,
        "prior": {"state": "absent"},
    }
    body = {
        "schema": 1, "role": role, "role_digest": "d", "inputs": {**defaults(role), **inputs},
        "resources": [resource], "written_at": "2026-01-01T00:00:00Z", "request": None,
    }  # fmt: skip
    whole = {
        "scope": "system", "role": role, "path": f"{SYSTEM_PLACES.state}/receipts/{role}.json", "body": body,
        "observed": {f"{role}.x": observed},
    }  # fmt: skip
    return msgspec.convert(whole, Receipt)


UBUNTU_DRIVER = {
    "nvidia_driver_branch": "580",
    "nvidia_driver_route": "ubuntu-prebuilt",
    "nvidia_driver_modules": "open",
    "nvidia_driver_action": "install",
    "nvidia_driver_version": "580.178.04",
    "nvidia_driver_packages": [
        "linux-modules-nvidia-580-server-open-generic",
        "nvidia-headless-no-dkms-580-server-open",
        "nvidia-utils-580-server",
    ],
}
DEBIAN_TOOLKIT = {
    "cuda_toolkit_version": "12.4",
    "cuda_toolkit_route": "debian",
    "cuda_toolkit_release": "12.4",
    "cuda_toolkit_way": "debian",
    "cuda_toolkit_packages": ["nvidia-cuda-toolkit", "g++-13"],
    "cuda_toolkit_compiler": "g++-13",
}
DEBIAN_DRIVER = {
    "nvidia_driver_branch": "550",
    "nvidia_driver_route": "debian",
    "nvidia_driver_modules": "proprietary",
    "nvidia_driver_without_gpu": "install",
    "nvidia_driver_action": "install",
    "nvidia_driver_version": "550.163.01",
    "nvidia_driver_packages": [
        "nvidia-driver",
        "nvidia-kernel-dkms",
        "firmware-nvidia-gsp",
        "libcuda1",
        "nvidia-smi",
    ],
}
OF_NVIDIA = {
    "cuda_toolkit_version": "12.4",
    "cuda_toolkit_route": "nvidia-repository",
    "cuda_toolkit_release": "12.4",
    "cuda_toolkit_way": "nvidia-repository",
    "cuda_toolkit_packages": ["cuda-toolkit-12-4"],
}
ON_CPU = {"cuda": {"cuda_toolkit_version": "12.4"}, "driver": {"nvidia_driver_without_gpu": "install"}}


def test_a_machine_without_a_gpu_has_none_of_these_roles() -> None:
    assert told(box(gpu="none")) == {}


def test_what_the_distribution_has_needs_no_repository_of_nvidias() -> None:
    found = told(box())
    assert list(found) == ["nvidia_driver", "cuda_toolkit"]
    assert found["nvidia_driver"] == UBUNTU_DRIVER
    toolkit = found["cuda_toolkit"]
    assert (toolkit["cuda_toolkit_way"], toolkit["cuda_toolkit_packages"]) == (
        "runfile", ["g++-13", "libxml2"],
    )  # fmt: skip
    runfile = toolkit["cuda_toolkit_runfile"]
    assert runfile["sha256"] == "367d2299b3a4588ab487a6d27276ca5d9ead6e394904f18bccb9e12433b9c4fb"


def test_nvidias_repository_comes_before_what_is_installed_from_it() -> None:
    found = told(box(os="debian12", driver="580.95.05"))
    assert list(found) == ["nvidia_repository", "cuda_toolkit"]
    assert found["nvidia_repository"]["nvidia_repository_name"] == "debian12"
    assert found["cuda_toolkit"] == OF_NVIDIA


def test_module_streams_are_told_apart_from_packages() -> None:
    driver = told(box(os="rhel9"))["nvidia_driver"]
    assert driver["nvidia_driver_streams"] == ["nvidia-driver:580-open"]
    assert driver["nvidia_driver_packages"] == [
        "nvidia-driver",
        "nvidia-driver-cuda",
        "python3-dnf-plugin-versionlock",
    ]


def test_a_board_of_eight_gets_its_fabric_manager_and_what_that_wants() -> None:
    of_b200 = told(box(gpu="8x B200", os="ubuntu22.04"))["nvidia_driver"]
    assert of_b200["nvidia_driver_fabric_manager"] == "nvidia-fabricmanager-580=580.178.04"
    assert of_b200["nvidia_driver_load"] == ["ib_umad"]
    of_h100 = told(box(gpu="8x H100", os="ubuntu22.04"))["nvidia_driver"]
    assert "nvidia_driver_load" not in of_h100


def test_in_wsl_the_driver_is_only_checked_and_the_toolkit_comes_alone() -> None:
    found = told(box(os="wsl2", driver="580.95.05"))
    assert found["nvidia_driver"] == {
        "nvidia_driver_action": "keep", "nvidia_driver_version": "580.95.05",
    }  # fmt: skip
    assert found["cuda_toolkit"]["cuda_toolkit_way"] == "nvidia-repository-wsl"
    assert found["nvidia_repository"]["nvidia_repository_name"] == "wsl-ubuntu"


WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"nvidia_driver_without_gpu": "install"},
    {"nvidia_driver_persistence": True, "nvidia_driver_container_toolkit": True},
    *({"nvidia_driver_branch": one} for one in ("keep", "470", "550", "580")),
    *({"nvidia_driver_route": one} for one in driver_ways()),
    *({"cuda_toolkit_route": one} for one in toolkit_ways()),
    *({"cuda_toolkit_version": one} for one in ("none", "11.8", "12.4", "12.8", "13.2")),
    *({"nvidia_driver_modules": one} for one in ("open", "proprietary")),
    {"nvidia_driver_branch": "580", "nvidia_driver_route": "runfile", "nvidia_driver_without_gpu": "install"},
)


@pytest.mark.parametrize("system", [one.name for one in knowledge.systems() if one.wsl])
@pytest.mark.parametrize("words", [{"driver": "580.95.05"}, {"driver": "none"}, {"gpu": "none"}], ids=str)
@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_in_wsl_nothing_that_is_asked_for_brings_a_driver(
    system: str, words: dict[str, Any], wish: dict[str, Any]
) -> None:
    plan = make_plan(box(os=system, secure_boot=None, **words), Settings(variables=wish))
    if isinstance(plan, WhyNot):
        # A clear sentence: whose the driver is, or what the toolkit cannot come by.
        assert re.search("in WSL2 the driver is Windows' own|CUDA|12.4", str(plan)), str(plan)
        return
    driver = plan.roles.get("nvidia_driver", {"nvidia_driver_action": "none"})
    assert driver["nvidia_driver_action"] in ("none", "keep")
    assert not driver.get("nvidia_driver_packages")
    assert not driver.get("nvidia_driver_runfile")
    repository = plan.roles.get("nvidia_repository", {})
    assert repository.get("nvidia_repository_name", "wsl-ubuntu") == "wsl-ubuntu"
    assert not repository.get("nvidia_repository_driver")
    packages = plan.roles.get("cuda_toolkit", {}).get("cuda_toolkit_packages", [])
    assert not [name for name in packages if is_driver(name) or any(fnmatch(name, one) for one in TRAPS)]


@pytest.mark.parametrize(
    ("system", "packages", "compiler"),
    [
        ("wsl-ubuntu22.04", ["cuda-toolkit-12-4"], None),
        (
            # It has no libtinfo5, which Nsight Systems of 12.4 needs.
            "wsl-ubuntu24.04",
            [
                "cuda-compiler-12-4", "cuda-command-line-tools-12-4", "cuda-libraries-12-4",
                "cuda-libraries-dev-12-4", "cuda-nvml-dev-12-4", "g++-13",
            ],
            "g++-13",
        ),
    ],
)  # fmt: skip
def test_in_wsl_the_toolkit_comes_in_what_the_release_can_have(
    system: str, packages: list[str], compiler: str | None
) -> None:
    found = told(box(os=system, secure_boot=None, driver="580.95.05"))["cuda_toolkit"]
    assert found["cuda_toolkit_packages"] == packages
    assert found.get("cuda_toolkit_compiler") == compiler


@pytest.mark.parametrize("container", [None, "docker"])
def test_a_machine_that_builds_gets_what_is_asked_of_it(container: str | None) -> None:
    facts = box(gpu="none", os="debian13")
    facts = replace(facts, os=replace(facts.os, container=container, kernel="6.19.0"))
    facts = facts if container else replace(facts, os=replace(facts.os, kernel="6.12.0"))
    asked = {**ON_CPU["cuda"], **ON_CPU["driver"], "nvidia_driver_modules": "proprietary"}
    assert told(facts, variables=asked) == {"nvidia_driver": DEBIAN_DRIVER, "cuda_toolkit": DEBIAN_TOOLKIT}


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_there_stays_as_its_receipt_says_it_was_told(whole: bool) -> None:
    older = {**DEBIAN_DRIVER, "nvidia_driver_version": "550.100", "nvidia_driver_branch": "550"}
    facts = kept(box(gpu="none", os="debian13"), {"nvidia_driver": older}, whole)
    asked = {**ON_CPU["driver"], "nvidia_driver_modules": "proprietary"}
    assert told(facts, variables=asked) == {"nvidia_driver": older if whole else DEBIAN_DRIVER}
    assert told(facts, variables=asked, upgrade=True) == {"nvidia_driver": older if whole else DEBIAN_DRIVER}


def test_a_driver_that_is_loaded_stays_as_its_receipt_says_though_the_data_know_a_newer_one() -> None:
    older = {**UBUNTU_DRIVER, "nvidia_driver_version": "580.65.06"}
    facts = kept(box(driver="580.65.06"), {"nvidia_driver": older})
    found = told(facts, variables={"nvidia_driver_hold": False, "nvidia_driver_branch": "auto"})
    assert found["nvidia_driver"] == {**older, "nvidia_driver_hold": False}
    newer = told(facts, upgrade=True)
    assert newer["nvidia_driver"] == UBUNTU_DRIVER


@pytest.mark.parametrize(
    ("variables", "changed"),
    [
        ({"nvidia_driver_modules": "proprietary"}, {"nvidia_driver_modules": "proprietary"}),
        ({"nvidia_driver_route": "nvidia-repository"}, {"nvidia_driver_route": "nvidia-repository"}),
        ({"nvidia_driver_branch": "570"}, {"nvidia_driver_branch": "570"}),
        ({"nvidia_driver_branch": "580"}, {}),
        ({"nvidia_driver_modules": "open"}, {}),
        ({"nvidia_driver_route": "ubuntu-prebuilt"}, {}),
    ],
)
def test_what_a_kept_driver_is_not_is_installed(variables: dict[str, str], changed: dict[str, str]) -> None:
    facts = kept(box(driver="580.65.06"), {"nvidia_driver": {**UBUNTU_DRIVER, "nvidia_driver_hold": False}})
    driver = told(facts, variables=variables)["nvidia_driver"]
    assert {name: driver[name] for name in changed} == changed
    assert ("nvidia_driver_hold" in driver) == (not changed)


def test_a_driver_that_nobody_here_installed_is_left_alone() -> None:
    assert "nvidia_driver" not in told(box(driver="580.95.05"))
    assert "nvidia_driver" not in told(box(driver="580.95.05"), variables={"nvidia_driver_hold": False})
    assert "nvidia_driver" not in told(box(gpu="none"), variables={"nvidia_driver_hold": True})
    assert "nvidia_driver" in told(box(driver="580.95.05"), variables={"nvidia_driver_persistence": True})
    asked = {"nvidia_driver_container_toolkit": True}
    assert told(box(driver="580.95.05"), variables=asked)["nvidia_driver"] == {
        **asked, "nvidia_driver_action": "keep", "nvidia_driver_version": "580.95.05",
    }  # fmt: skip


def test_a_change_of_the_driver_that_was_begun_goes_on_as_it_began() -> None:
    begun = replace(box(driver="535.274.02"), pending=("nvidia_driver",))
    assert told(begun)["nvidia_driver"] == UBUNTU_DRIVER
    plan = make_plan(begun, Settings())
    assert isinstance(plan, Plan)
    assert "a change of the driver was begun and not finished: it goes on" in plan.notes


def test_a_toolkit_that_is_there_stays_where_nobody_asks_for_another() -> None:
    older = {**OF_NVIDIA, "cuda_toolkit_version": "12.6", "cuda_toolkit_release": "12.6"}
    older["cuda_toolkit_packages"] = ["cuda-toolkit-12-6=12.6.1-1"]
    facts = kept(box(os="debian12", driver="580.95.05"), {"cuda_toolkit": older})
    assert told(facts) == {"cuda_toolkit": older}
    plan = make_plan(facts, Settings())
    assert isinstance(plan, Plan)
    assert plan.notes == ()
    assert told(facts, variables={"cuda_toolkit_library_path": True}) == {
        "cuda_toolkit": {**older, "cuda_toolkit_library_path": True}
    }
    assert told(facts, variables=ON_CPU["cuda"])["cuda_toolkit"] == OF_NVIDIA
    # What is newer than the usual one is not replaced by it.
    assert told(facts, upgrade=True)["cuda_toolkit"] == older
    oldest = {**older, "cuda_toolkit_version": "12.2", "cuda_toolkit_release": "12.2"}
    there = kept(box(os="debian12", driver="580.95.05"), {"cuda_toolkit": oldest})
    assert told(there) == {"cuda_toolkit": oldest}
    assert told(there, upgrade=True)["cuda_toolkit"] == OF_NVIDIA
    # On the CPU's route, too.
    bare = kept(box(os="debian12", gpu="none"), {"cuda_toolkit": older})
    assert told(bare) == {"cuda_toolkit": older}
    assert told(bare, variables={"cuda_toolkit_version": "none"}) == {
        "cuda_toolkit": {"cuda_toolkit_version": "none"}
    }


def test_a_toolkit_that_brings_libraries_of_another_driver_is_left_out_and_the_reason_told() -> None:
    facts = box(os="debian13", driver="580.95.05")
    assert told(facts) == {}
    plan = make_plan(facts, Settings())
    assert isinstance(plan, Plan)
    (note,) = [one for one in plan.notes if one.startswith("no CUDA toolkit, not 12.4: ")]
    assert "debian's CUDA toolkit brings the libraries of driver 550.163.01" in note
    assert told(box(os="debian13", driver="550.163.01")) == {"cuda_toolkit": DEBIAN_TOOLKIT}
    # With a driver that is yet to come, both are of the distribution.
    assert told(box(os="debian13"))["cuda_toolkit"] == DEBIAN_TOOLKIT


def test_cudnn_comes_with_the_toolkit_or_after_it() -> None:
    asked = {"cuda_toolkit_cudnn": True}
    facts = box(os="debian12", driver="580.95.05")
    packages = {"cuda_toolkit_cudnn_packages": ["cudnn9-cuda-12"]}
    assert told(facts, variables=asked)["cuda_toolkit"] == {**OF_NVIDIA, **asked, **packages}
    later = kept(facts, {"cuda_toolkit": OF_NVIDIA})
    assert told(later, variables=asked)["cuda_toolkit"] == {**OF_NVIDIA, **asked, **packages}


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (
            {"os": "debian13", "driver": "550.163.01"},
            {"variables": {"cuda_toolkit_cudnn": True}},
            "cuda_toolkit_cudnn: no package of cuDNN is known beside CUDA 12.4 by debian",
        ),
        (
            {},
            {"variables": {"nvidia_driver_route": "runfile", "nvidia_driver_branch": "570"}},
            "the installer of driver 570.211.01 for x86_64: its address and digest are not known here",
        ),
        (
            {"gpu": "none"},
            {"scope": "user", "variables": {"kernel_options_boot": ["iommu=pt"]}},
            "kernel_options_boot: the kernel is the whole system's, and this is --scope user",
        ),
    ],
)
def test_what_cannot_be_installed_is_named(
    words: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProvisionError) as refused:
        make_plan(box(**words), Settings(**settings))
    assert refused.value.message == message
    assert refused.value.hint


def test_options_of_the_kernel_are_those_that_were_asked_for() -> None:
    options = {"kernel_options_boot": ["iommu=pt"]}
    facts = box(gpu="none")
    assert told(facts, variables=options) == {"kernel_options": options}
    # Taken off the list again, the role runs to take them off the machine.
    there = kept(facts, {"kernel_options": options})
    assert told(there) == {"kernel_options": options}
    assert told(there, variables={"kernel_options_boot": []}) == {"kernel_options": {}}


def test_what_the_plan_decides_nobody_sets_by_hand() -> None:
    boxes = (box(), box(os="debian12"), box(os="rhel9"), box(gpu="8x B200", os="ubuntu22.04"))
    decided = {name for facts in boxes for values in told(facts).values() for name in values}
    assert decided - set(DECIDED) <= set(RESOLVED)
    known = {name for role in BY_NEED for name in defaults(role)}
    assert {name for name in DECIDED if name.startswith((*BY_NEED,))} <= known
    assert set(RESOLVED) <= known
