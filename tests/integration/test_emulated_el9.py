"""EL 9, emulated: NVIDIA's repository, the driver's stream and CUDA 12.4 by dnf, and all of it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioner.hosts.errors import Refused
from tests.integration.cli import Provision
from tests.integration.emulated import MIRROR
from tests.integration.emulated_el9 import STREAM, DnfBox, emulated_el9
from tests.lab.fixtures import MachineFactory
from tests.lab.nvidia import el9

WANTED = {
    "nvidia_driver_without_gpu": "install",
    "nvidia_driver_branch": "580",
    "cuda_toolkit_version": "12.4",
}
# What comes with the driver by their needs; kernel-devel by dkms.
NEEDED = {
    "dkms",
    "egl-wayland",
    "elfutils-libelf-devel",
    "kernel-devel",
    "opencl-filesystem",
    "python3-dnf-plugin-versionlock",
}
NEVER = {"kmod-nvidia-latest-dkms", "nvidia-fabric-manager"}
MESSAGE = f"{MIRROR}/compute/cuda/repos/rhel9/x86_64/"
RPM = "/compute/cuda/repos/rhel9/x86_64/cuda-nvcc-12-4-12.4.131-1.x86_64.rpm"


@pytest.fixture(scope="module")
def box(module_machine_factory: MachineFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnfBox]:
    machine = module_machine_factory(release="bookworm", cache=True)
    with emulated_el9(machine, tmp_path_factory.mktemp("emulated")) as box:
        yield box


@pytest.fixture
def fresh(box: DnfBox) -> Iterator[DnfBox]:
    """Its server as it was at first; afterwards no repository of ours is there."""
    held = dict(box.hub.files)
    yield box
    box.hub.files.clear()
    box.hub.files.update(held)
    box.repository(name="")
    box.machine.run("sh", "-c", "rm -rf /var/cache/dnf/provisioner-nvidia*")
    assert box.files() == []


def driver() -> dict[str, str]:
    return {one.name: one.version for one in el9.of_set("el9-driver", 580) if one.name not in NEVER}


def toolkit() -> dict[str, str]:
    return {one.name: one.version for one in el9.toolkit()}


def test_emulated_traps_cannot_be_had(fresh: DnfBox) -> None:
    fresh.repository(driver=True)
    for trap in ("cuda", "cuda-12-4", "cuda-runtime-12-4"):
        assert "filtered out by exclude filtering" in fresh.dnf("--assumeno", "install", trap)
    assert "Operation aborted" in fresh.dnf("--assumeno", "install", "cuda-toolkit-12-4")
    # The driver comes from there only when that is the plan.
    fresh.repository(driver=False)
    assert "Operation aborted" not in fresh.dnf("--assumeno", "install", "@nvidia-driver:580-open/default")


def test_emulated_key_of_somebody_else_is_refused(fresh: DnfBox) -> None:
    with pytest.raises(Refused) as caught:
        fresh.repository(fingerprint="F" * 40)
    right = fresh.known["nvidia_repository_fingerprint"]
    assert caught.value.message == (
        f"{MESSAGE}{el9.KEY} holds another key than NVIDIA's: {right} instead of {'F' * 40}"
    )
    assert fresh.files() == []


def test_emulated_index_signed_by_somebody_else_is_refused(fresh: DnfBox) -> None:
    path = "/compute/cuda/repos/rhel9/x86_64/repodata/repomd.xml"
    index = fresh.hub.files[path]
    assert isinstance(index, bytes)
    fresh.hub.files[path] = index.replace(b"<revision>", b"<revision>1")
    with pytest.raises(Refused) as caught:
        fresh.repository()
    assert caught.value.message == f"{MESSAGE}: its index is not signed by NVIDIA's key"
    assert fresh.files() == []


def test_emulated_damaged_rpm_is_refused(fresh: DnfBox) -> None:
    before = fresh.packages()
    whole = fresh.hub.files[RPM]
    assert isinstance(whole, bytes)
    fresh.hub.files[RPM] = whole[:-1] + bytes([whole[-1] ^ 1])
    said = fresh.up({"cuda_toolkit_version": "12.4"}, ("nvidia_repository", "cuda_toolkit"))
    assert (said.role, fresh.packages()) == ("cuda_toolkit", before)
    assert "cuda-nvcc-12-4-12.4.131-1.x86_64.rpm did not come" in (said.error or ""), said


def test_emulated_driver_and_toolkit_come_whole_and_nothing_else(box: DnfBox) -> None:
    before = box.packages()
    said = box.up(WANTED)
    assert said.error is None, said
    came = {name: version for name, version in box.packages().items() if name not in before}
    asked = {name: version for name, version in came.items() if name not in NEEDED}
    assert asked == {**driver(), **toolkit()}
    assert set(came) - set(asked) == NEEDED
    assert {name: box.packages()[name] for name in before} == before
    # What is the driver's is held, by what the plugin itself reads; the rest goes its own way.
    assert box.held() == set(driver())
    assert "stream=580-open\n" in box.machine.run("cat", STREAM).stdout
    again = box.up(WANTED)
    assert (again.error, again.changed, box.changed) == (None, 0, [])


def test_emulated_way_back_leaves_what_was_there(box: DnfBox, module_provision: Provision) -> None:
    before = box.packages()
    done = module_provision("down", *module_provision.reach(box.machine), "--yes").expect(0)
    gone = {*driver(), *toolkit(), *NEEDED}
    left = {name: version for name, version in before.items() if name not in gone}
    assert box.packages() == left, done.text
    assert (box.held(), box.files()) == (set(), [])
    assert box.machine.run("test", "-e", STREAM, check=False).returncode != 0
    # dnf itself knows of no stream any more.
    assert "[e]" not in box.dnf("-q", "--cacheonly", "module", "list", "--enabled").replace("[e]nabled", "")
