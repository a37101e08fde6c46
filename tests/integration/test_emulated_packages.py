"""Driver and toolkit on machines that present themselves as other systems: the right packages and no others.

The repositories are emulated and the packages are stubs: this shows which are chosen, and no more.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioner.report.down import Status
from tests.integration import nvidia
from tests.integration.cli import ROOT
from tests.integration.emulated import ROLES, Box, in_turn
from tests.lab.fixtures import MachineFactory
from tests.lab.nvidia.deb import Deb
from tests.lab.nvidia.stubs import packages

TOOLKIT = {"cuda_toolkit_version": "12.4"}
BOTH = {**TOOLKIT, "nvidia_driver_without_gpu": "install"}
# By system: what is asked for, and the packages that this comes to, without what they depend on.
CASES: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "debian12": (
        BOTH,
        ("cuda-toolkit-12-4", "nvidia-driver-pinning-580", "nvidia-open", "nvidia-persistenced"),
    ),
    "ubuntu20.04": (
        BOTH,
        (
            "cuda-toolkit-12-4",
            "linux-modules-nvidia-570-server-open-generic",
            "nvidia-headless-no-dkms-570-server-open",
            "nvidia-utils-570-server",
        ),
    ),
    "ubuntu22.04": (
        BOTH,
        (
            "cuda-toolkit-12-4",
            "linux-modules-nvidia-580-server-open-generic",
            "nvidia-headless-no-dkms-580-server-open",
            "nvidia-utils-580-server",
        ),
    ),
    # NVIDIA's repository there begins at CUDA 12.5: 12.4 comes by NVIDIA's own installer.
    "ubuntu24.04": (
        BOTH,
        (
            "g++-13",
            "libxml2",
            "linux-modules-nvidia-580-server-open-generic",
            "nvidia-headless-no-dkms-580-server-open",
            "nvidia-utils-580-server",
        ),
    ),
    "wsl-ubuntu22.04": (TOOLKIT, ("cuda-toolkit-12-4",)),
    # Nsight of 12.4 needs libtinfo5, which this release has not: the parts without it.
    "wsl-ubuntu24.04": (
        TOOLKIT,
        (
            "cuda-command-line-tools-12-4",
            "cuda-compiler-12-4",
            "cuda-libraries-12-4",
            "cuda-libraries-dev-12-4",
            "cuda-nvml-dev-12-4",
            "g++-13",
        ),
    ),
}
# A driver that is loaded, as the kernel tells of it; its library is the stand-in.
KEPT = "570.211.01"
NVML = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
LOADED = """\
mount -t tmpfs none /proc/driver
mkdir /proc/driver/nvidia
echo "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  $1  Release" > /proc/driver/nvidia/version
"""
# Where the roles are run a second time although nothing is to do; elsewhere the second look is enough.
TWICE = ("ubuntu22.04",)

Become = Callable[[str], Box]


@pytest.fixture(scope="module")
def become(
    module_machine_factory: MachineFactory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Become]:
    """One machine, that presents itself as the one that is named."""
    machine = module_machine_factory(release="bookworm")
    with in_turn(machine, list(CASES), tmp_path_factory.mktemp("emulated")) as found:
        yield found


def installed(box: Box) -> dict[str, str]:
    """Every package with its version and status."""
    return nvidia.state(box.machine)["packages"]


def configured(box: Box) -> dict[str, str]:
    """The digest of every file under /etc, but of those that change by themselves."""
    found = {name: what.split()[0] for name, what in nvidia.state(box.machine)["files"].items()}
    digests = {name: what for name, what in found.items() if len(what) == 64}
    return {name: what for name, what in digests.items() if not name.endswith(("ld.so.cache", ".dpkg-old"))}


def closure(debs: Iterable[Deb], names: Iterable[str]) -> set[str]:
    """The packages with all that they depend on, of those that are emulated."""
    needs = {deb.name: deb.fields.get("Depends", "") for deb in debs}
    found: set[str] = set()
    waiting = [name for name in names if name in needs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            wanted = (re.sub(r" \(.*", "", one.strip()) for one in needs[name].split(","))
            waiting += [one for one in wanted if one in needs]
    return found


def drifted(box: Box, asked: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a second look finds to do, of the roles that were run."""
    found = box.planned(asked).result.drift
    return {one.role: [item.id for item in one.items] for one in found if one.role in ROLES and one.items}


@pytest.mark.parametrize("system", CASES)
def test_emulated_system_gets_the_right_packages_and_no_others(become: Become, system: str) -> None:
    box = become(system)
    asked, expected = CASES[system]
    debs = list(packages(box.system, (*box.system.nvidia, *box.system.archive)))
    before, kept = installed(box), configured(box)
    outcome = box.up(asked)
    assert outcome.error is None, f"{outcome.error} — {outcome.hint}"
    came = installed(box).keys() - before.keys()
    assert {name.partition(":")[0] for name in came} == closure(debs, expected)
    assert drifted(box, asked) == {}
    if system in TWICE:
        assert box.up(asked).error is None
        assert box.changed == []
    if box.system.wsl:
        # What Windows provides is as it was.
        assert box.machine.run("cat", "/usr/lib/wsl/lib/libcuda.so.1").stdout == "windows\n"
    ended = box.down()
    assert (ended.status, ended.error) == (Status.DONE, None)
    assert installed(box) == before
    assert configured(box) == kept


def install_by_hand(box: Box, debs: Iterable[Deb], names: Iterable[str]) -> None:
    """As somebody once installed them: by dpkg, and no archive of them is left."""
    held = list(debs)
    wanted = closure(held, names)
    for deb in held:
        if deb.name in wanted:
            box.machine.run("sh", "-c", f"cat > /tmp/{deb.name}.deb", input=deb.build(".gz"))
    box.machine.run("sh", "-ec", "dpkg -i /tmp/*.deb && rm /tmp/*.deb")


def test_emulated_older_driver_is_replaced_and_comes_back_after_its_mirror_has_dropped_it(
    become: Become,
) -> None:
    box = become("debian12")
    asked = {"nvidia_driver_without_gpu": "install", "nvidia_driver_branch": "580"}
    bare = box.installed()
    old = box.drop("550.")
    install_by_hand(box, [*old, *packages(box.system, ("base",))], ("cuda-drivers-550",))
    before, kept = installed(box), configured(box)
    try:
        assert before["nvidia-driver:amd64"].startswith("550.163.01-1 ")
        outcome = box.up(asked)
        assert outcome.error is None, f"{outcome.error} — {outcome.hint}"
        now = installed(box)
        assert now["nvidia-driver:amd64"].startswith("580.178.04-1 hold ")
        # Two of them cannot be beside each other.
        assert "nvidia-kernel-open-dkms:amd64" in now
        assert not {"nvidia-kernel-dkms:amd64", "cuda-drivers-550:amd64"} & now.keys()
        ended = box.down()
        assert (ended.status, ended.error) == (Status.DONE, None)
        assert installed(box) == before
        assert configured(box) == kept
    finally:
        box.down()
        box.machine.run("sh", "-c", 'dpkg --purge --force-all "$@"', "-", *sorted(box.installed() - bare))


def test_emulated_driver_that_answers_is_kept(become: Become, tmp_path: Path) -> None:
    box = become("ubuntu22.04")
    library = tmp_path / "libnvidia-ml.so.1"
    source = ROOT / "tests/vm/standin/nvml.c"
    version = f'-DDRIVER_VERSION="{KEPT}"'
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", version, "-o", library, source], check=True)
    box.machine.run("sh", "-ec", LOADED, "-", KEPT)
    box.machine.run("sh", "-ec", f"cat > {NVML} && ldconfig", input=library.read_bytes())
    try:
        before = installed(box)
        asked = {"nvidia_driver_persistence": True}
        planned = box.planned(asked)
        assert planned.result.error is None, planned.result
        told = planned.plan.roles["nvidia_driver"]
        assert (told["nvidia_driver_action"], told["nvidia_driver_version"]) == ("keep", KEPT)
        assert "nvidia_repository" not in planned.plan.roles
        outcome = box.up(asked)
        assert outcome.error is None, f"{outcome.error} — {outcome.hint}"
        assert f"Driver {KEPT} is there, and stays." in [event.message for event in box.events]
        assert installed(box) == before
    finally:
        box.machine.run("sh", "-c", f"umount /proc/driver; rm -f {NVML}; ldconfig")
        box.down()
