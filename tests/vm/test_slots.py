"""What no verdict shows and must be read all the same, of a device in a slot of a second memory node."""

from __future__ import annotations

import pytest

from provisioner.audit import Link, PciDevice, Reading
from tests.vm.conftest import Looked
from tests.vm.states import State, named

FOLDER = "/sys/bus/pci/devices/0000:41:00.0"
PORT = "/sys/bus/pci/devices/0000:40:00.0"


def read(value: object, source: str) -> tuple[str, object, str]:
    return "read", value, source


@pytest.mark.parametrize("state", [named("two-nodes")], ids=["two-nodes"])
def test_an_nvme_controller_with_virtual_functions_in_a_wide_slot_of_the_second_node(
    state: State, looked: Looked
) -> None:
    audit = looked(state).facts.audit
    assert audit is not None
    (device,) = audit.slots.devices.value or ()
    plain = (device.address, device.kind, device.driver, device.config_bytes, device.upstream)
    assert plain == ("0000:41:00.0", "0x010802", "nvme", 4096, "0000:40:00.0")
    assert readings(device) == {
        "resizable": ("absent", None, f"{FOLDER}/config"),
        "link": read(Link(2.5, 1, 2.5, 1), f"{FOLDER}/current_link_width"),
        "upstream_link": read(Link(2.5, 1, 8.0, 16), f"{PORT}/current_link_width"),
        "acs": read(False, f"{PORT}/config"),
        "switch_acs": ("absent", None, "/sys/bus/pci/devices"),
        "aspm": read("off", f"{FOLDER}/link/l0s_aspm"),
        "sriov_functions": read(4, f"{FOLDER}/sriov_totalvfs"),
        "numa_node": read(1, f"{FOLDER}/numa_node"),
        "local_cpus": read("", f"{FOLDER}/local_cpulist"),
        "iommu_group": ("absent", None, f"{FOLDER}/iommu_group"),
    }
    (bar,) = device.bars.value or ()
    assert (bar.index, bar.bits, bar.prefetchable, bar.assigned, bar.size) == (0, 64, False, True, 16384)


def readings(device: PciDevice) -> dict[str, tuple[str, object, str]]:
    """All readings but the BARs, whose addresses firmware chooses."""
    found = {name: getattr(device, name) for name in PciDevice.__dataclass_fields__ if name != "bars"}
    return {
        name: (value.state, value.value, value.source)
        for name, value in found.items()
        if isinstance(value, Reading)
    }
