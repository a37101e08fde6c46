"""The driver's role and the kernel's options where kernels, modules, initramfs and restarts are real, and the
driver is a stand-in: what is shown is the way that packages, modules and options take; nothing of NVIDIA's
runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provisioner.report.result import Status

from . import command, driving, packages, restarting
from .changing import change
from .driving import line, loaded, version, wants
from .packages import GOOD
from .restarting import Restarting

OPTIONS: dict[str, Any] = {
    # The second is nobody's but this test's, the third is of the kernel itself and goes to its line.
    "kernel_options_modprobe": {
        "nvidia": {"NVreg_PreserveVideoMemoryAllocations": 1},
        "loop": {"max_part": 7},
        "pcie_aspm": "off",
    },
    "kernel_options_boot": ["iommu=pt"],
}
OLD = f"ro {command.OPTIONS} quiet"
pytestmark = pytest.mark.timeout(driving.SECONDS)

Offer = Callable[[str], None]


@pytest.fixture(scope="module")
def box(vm_ready: None) -> Iterator[Restarting]:
    with restarting.up(restarting.free_name("driver")) as found:
        found.prepare()
        yield found


@pytest.fixture(scope="module")
def offer(box: Restarting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offer]:
    root = tmp_path_factory.mktemp("archives")
    with packages.served(root) as port:
        yield lambda one: driving.offer(box, root, port, one)


def test_driver_and_options_share_one_restart_and_are_live(box: Restarting, offer: Offer) -> None:
    assert loaded(box) == {"nouveau"}, "the card's alias loads it, as on any fresh machine"
    offer(GOOD)
    before = box.boot_id()
    wanted = {**wants(), "kernel_options": OPTIONS}
    run = change(box, wanted).expect(Status.DONE)
    assert box.boot_id() != before
    assert run.said.count("restarts: ") == 1
    assert (loaded(box), version(box)) == ({"nvidia", "nvidia_uvm"}, GOOD)
    assert box.sh("cat /sys/module/nvidia/parameters/NVreg_PreserveVideoMemoryAllocations") == "1"
    assert box.sh("modprobe loop; cat /sys/module/loop/parameters/max_part") == "7"
    # Until the machine has come back with it, a line restarts by itself where it panics.
    assert line(box) == f"{OLD} iommu=pt pcie_aspm=off panic=30"
    inside = box.sh("lsinitramfs /boot/initrd.img-$(uname -r)").split()
    assert "etc/modprobe.d/provisioner-nvidia.conf" in inside
    assert change(box, wanted).result.status is Status.CONVERGED
