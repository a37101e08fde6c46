"""The names of the kernel's own options."""

from __future__ import annotations

from provisioner import sourced
from provisioner.preflight import command_line
from provisioner.preflight.kernel_options import Option


def test_what_goes_astray_is_known() -> None:
    assert set(command_line.astray()) - set(command_line.known()) == set()
    assert {"pcie_aspm", "pci", "iommu", "intel_iommu"} <= set(command_line.astray())


def test_names_are_written_as_the_kernel_compares_them() -> None:
    assert [name for name in command_line.known() if "-" in name or "." in name or "=" in name] == []


def test_what_preflight_speaks_of_is_known() -> None:
    spoken = {
        one.option.partition("=")[0]
        for one in sourced.read("provisioner.preflight", "kernel_options", Option)
    }
    assert {name for name in spoken if "." not in name} - set(command_line.known()) == set()
