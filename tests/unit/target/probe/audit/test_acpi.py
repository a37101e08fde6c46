from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import acpi
from provisioner.target.probe.audit.readings import Malformed
from tests.unit.target.probe.audit.spaces import table


@pytest.mark.parametrize(
    ("flags", "remapping", "opt_in"),
    [(0, False, False), (1, True, False), (2, False, False), (4, False, True), (5, True, True)],
)
def test_dmar(flags: int, remapping: bool, opt_in: bool) -> None:
    # The byte before says how wide addresses are.
    content = table("DMAR", {0x24: 0x2F, 0x25: flags})
    assert acpi.dmar(content) == {"interrupt_remapping": remapping, "opt_in": opt_in}


@pytest.mark.parametrize(("flags", "opt_in"), [(0x01, False), (0x41, False), (0x43, True), (0x02, True)])
def test_ivrs(flags: int, opt_in: bool) -> None:
    assert acpi.ivrs(table("IVRS", {0x24: flags, 0x25: 0x30})) == {
        "interrupt_remapping": True,
        "opt_in": opt_in,
    }


def test_what_follows_a_table_is_not_part_of_it() -> None:
    assert acpi.dmar(table("DMAR", {0x25: 1}) + b"\x07" * 9)["interrupt_remapping"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it has 0 bytes, its header has 36"),
        (table("DMAR", {})[:35], "it has 35 bytes, its header has 36"),
        (table("IVRS", {}), r"it begins with b'IVRS', not DMAR"),
        (table("DMAR", {})[:47], "it says it has 48 bytes, and has 47"),
        (table("DMAR", {4: 12}), "it says it has 12 bytes, and has 48"),
        (table("DMAR", {}, 36), "it ends before byte 0x25"),
        (table("DMAR", {})[:40] + b"\x01" + table("DMAR", {})[41:], "its checksum is wrong"),
    ],
)
def test_a_table_that_makes_no_sense(content: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=f"^{says}$"):
        acpi.dmar(content)


@given(st.binary(max_size=80), st.sampled_from((b"DMAR", b"IVRS", b"")), st.integers(0, 80), st.booleans())
def test_any_bytes_are_read_or_refused(rest: bytes, name: bytes, length: int, right: bool) -> None:
    content = bytearray(name + length.to_bytes(4, "little") + b"\x01\x00" + rest)
    if right:
        content[9 if len(content) > 9 else -1] = -sum(content[:length]) & 0xFF
    for parse in (acpi.dmar, acpi.ivrs):
        with contextlib.suppress(Malformed):
            assert set(parse(bytes(content))) == {"interrupt_remapping", "opt_in"}
