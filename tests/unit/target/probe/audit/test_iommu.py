from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import iommu
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box
from tests.unit.target.probe.audit.spaces import table

Plant = Callable[..., Path]
TABLES = "/sys/firmware/acpi/tables"


def section(root: Path, **os: Any) -> dict[str, tuple[Any, ...]]:
    box = Box(str(root))
    facts = {"os": {"container": None, "wsl": False, "arch": "x86_64", **os}}
    found = iommu.section(box, Sight(box, facts, {}))
    return {name: (one["state"], one["value"]) for name, one in found.items()}


def test_vt_d_that_the_kernel_uses(plant: Plant) -> None:
    root = plant(
        {
            f"{TABLES}/DMAR": table("DMAR", {0x25: 5}),
            f"{TABLES}/APIC": b"",
            "/sys/class/iommu/dmar1/": "",
            "/sys/class/iommu/dmar0/": "",
            "/sys/kernel/iommu_groups/0/type": "identity\n",
            "/sys/kernel/iommu_groups/1/type": "DMA-FQ\n",
            "/sys/kernel/iommu_groups/2/type": "DMA-FQ\n",
            "/sys/kernel/iommu_groups/3/devices/": "",
            "/proc/cmdline": "quiet intel_iommu=on iommu=pt iommu.strict=0 pci=realloc xiommu=1 nointremap\n",
        }
    )
    assert section(root) == {
        "tables": ("read", ["DMAR"]),
        "interrupt_remapping": ("read", True),
        "opt_in": ("read", True),
        "units": ("read", ["dmar0", "dmar1"]),
        "groups": ("read", {"identity": 1, "DMA-FQ": 2, "unknown": 1}),
        "options": ("read", ["intel_iommu=on", "iommu=pt", "iommu.strict=0", "nointremap"]),
    }


def test_a_kernel_that_tells_no_type(plant: Plant) -> None:
    root = plant({"/sys/kernel/iommu_groups/0/devices/": "", "/sys/kernel/iommu_groups/1/devices/": ""})
    assert section(root)["groups"] == ("hidden", None)


def test_a_table_and_a_kernel_that_leaves_it_alone(plant: Plant) -> None:
    root = plant(
        {
            f"{TABLES}/IVRS": table("IVRS", {0x24: 2}),
            "/sys/class/iommu/": "",
            "/sys/kernel/iommu_groups/": "",
            "/proc/cmdline": "amd_iommu=off\n",
        }
    )
    assert section(root) == {
        "tables": ("read", ["IVRS"]),
        "interrupt_remapping": ("read", True),
        "opt_in": ("read", True),
        "units": ("read", []),
        "groups": ("read", {}),
        "options": ("read", ["amd_iommu=off"]),
    }


def test_no_table(plant: Plant) -> None:
    found = section(plant({f"{TABLES}/APIC": b"", "/proc/cmdline": "quiet\n"}))
    assert found["tables"] == ("read", [])
    assert found["interrupt_remapping"] == found["opt_in"] == ("absent", None)
    assert section(plant({}) / "proc")["tables"] == ("absent", None)


def test_a_table_that_may_be_seen_and_not_read(plant: Plant) -> None:
    # A folder where a file should be is refused as one without rights is, also to root.
    found = section(plant({f"{TABLES}/DMAR/": ""}))
    assert found["tables"] == ("read", ["DMAR"])
    assert found["interrupt_remapping"] == found["opt_in"] == ("hidden", None)


def test_half_a_table(plant: Plant) -> None:
    found = section(plant({f"{TABLES}/DMAR": table("DMAR", {})[:40]}))
    assert found["tables"] == ("read", ["DMAR"])
    assert found["interrupt_remapping"] == found["opt_in"] == ("error", None)


def test_a_byte_is_said_where_it_stands(plant: Plant) -> None:
    box = Box(str(plant({f"{TABLES}/DMAR": table("DMAR", {0x25: 1})})))
    sight = Sight(box, {"os": {"container": None, "wsl": False}}, {})
    one = iommu.said(sight, iommu.listed(box, "x86_64"), "interrupt_remapping")
    assert (one["source"], one["offset"]) == (f"{TABLES}/DMAR", 0x25)


def test_arm_describes_its_units_elsewhere(plant: Plant) -> None:
    root = plant({f"{TABLES}/IORT": b"", "/sys/class/iommu/smmu3.0x1/": ""})
    found = section(root, arch="aarch64")
    assert {name: state for name, (state, _) in found.items()} == {
        "tables": "not_applicable",
        "interrupt_remapping": "not_applicable",
        "opt_in": "not_applicable",
        "units": "read",
        "groups": "absent",
        "options": "absent",
    }


@pytest.mark.parametrize("kind", [{"container": "docker"}, {"wsl": True}])
def test_nothing_is_said_from_inside_emulated(kind: dict[str, Any], plant: Plant) -> None:
    root = plant({f"{TABLES}/DMAR": table("DMAR", {}), "/sys/class/iommu/dmar0/": ""})
    assert set(section(root, **kind).values()) == {("not_applicable", None)}


@given(st.binary())
def test_any_command_line(content: bytes) -> None:
    assert all("iommu" in one or "intremap" in one for one in iommu.options(content))
