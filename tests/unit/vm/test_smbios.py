"""The structures that machines are given, read back by the probe's own parser."""

from __future__ import annotations

import pytest

from provisioner.target.probe.audit import smbios as probe
from provisioner.target.probe.audit import smbios_table
from tests.vm import smbios

LAST = smbios.structure(127, 0xFEFF, b"")


@pytest.mark.parametrize("uefi", [True, False])
def test_the_firmware_says_what_it_boots_and_that_it_is_no_virtual_machine(*, uefi: bool) -> None:
    table = smbios_table.structures(smbios.bios(uefi=uefi) + LAST, None)
    assert smbios_table.characteristic(table, 3) is uefi
    assert smbios_table.characteristic(table, 4) is False
    assert table[0].strings == ("American Megatrends Inc.", "3.4", "10/30/2020")


def test_some_sockets_are_populated() -> None:
    table = smbios_table.structures(b"".join(smbios.memory(1, 2, 1024)) + LAST, None)
    full, empty = probe.modules(table)
    assert (full["locator"], full["bytes"], full["kind"]) == ("DIMM0", 1 << 30, "DDR4")
    assert (full["rated"], full["configured"]) == (3200, 3200)
    assert (full["total_width"], full["data_width"]) == (64, 64)
    assert (empty["locator"], empty["bytes"]) == ("DIMM1", 0)
    assert probe.correction(table) == "none"
