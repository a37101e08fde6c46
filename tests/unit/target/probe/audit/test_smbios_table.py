"""SMBIOS from bytes: what holds, and what is malformed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import smbios_table
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.audit.smbios_table import Entry, Structure
from tests.recorded import NAMES, unpack

from .tables import END, ENTRY_3, array, bios, entry_2, module, structure, summed

TABLE = bios(0x18) + array() + module() + END


def test_the_entry_points() -> None:
    assert smbios_table.entry(entry_2(9)) == Entry((2, 8), 9)
    # The specification of 2.1 gave a length that is one too small; firmware copied it.
    assert smbios_table.entry(entry_2(9, length=0x1E)) == Entry((2, 8), 9)
    assert smbios_table.entry(ENTRY_3) == Entry((3, 3), None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the entry point begins with b'', not with _SM_ or _SM3_"),
        (b"_DMI_" + bytes(30), "the entry point begins with b'_DMI_', not with _SM_ or _SM3_"),
        (ENTRY_3[:23], "the entry point has 23 bytes and says 24"),
        (b"_SM3_", "the entry point has 5 bytes and says 0"),
        (entry_2(9)[:20], "the entry point has 20 bytes and says 31"),
        (ENTRY_3[:9] + b"\x55" + ENTRY_3[10:], "the entry point's checksum is wrong"),
        (summed(ENTRY_3[:6] + b"\x10" + ENTRY_3[7:], 5), "the entry point has 24 bytes and says 16"),
    ],
)
def test_entry_points_that_make_no_sense(content: bytes, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        smbios_table.entry(content)
    assert str(failure.value) == why


def test_structures_with_and_without_strings() -> None:
    plain, named = structure(4, b"\x05", handle=7), structure(5, b"\x01\x02\x03", "one ", "two", handle=8)
    assert smbios_table.structures(plain + named + END, None) == [
        Structure(4, 7, b"\x04\x05\x07\x00\x05", (), 0),
        Structure(5, 8, b"\x05\x07\x08\x00\x01\x02\x03", ("one ", "two"), 7),
        Structure(127, 0, b"\x7f\x04\x00\x00", (), 24),
    ]


def test_fields_of_a_structure() -> None:
    (found, _) = smbios_table.structures(structure(5, b"\x01\x02\x03\xff", "one ", "two") + END, None)
    assert [found.text(at) for at in (4, 5, 6, 7, 8)] == ["one", "two", "", "", ""]
    assert [found.number(4, 2), found.number(6, 2), found.number(7, 2)] == [0x201, 0xFF03, None]


@pytest.mark.parametrize(
    ("table", "total", "kinds"),
    [
        (TABLE, None, [0, 16, 17, 127]),
        (TABLE, 4, [0, 16, 17, 127]),
        # Some firmware counts too many, and some puts the marker too early.
        (TABLE, 9, [0, 16, 17, 127]),
        (bios() + END + array() + END, 3, [0, 127, 16]),
        (bios() + END + array() + END, None, [0, 127]),
        # What follows the last structure that is counted is no structure.
        (bios() + array() + b"\xff" * 99, 2, [0, 16]),
        (TABLE + b"\xff" * 99, None, [0, 16, 17, 127]),
        (b"", 0, []),
    ],
)
def test_where_a_table_ends(table: bytes, total: int | None, kinds: list[int]) -> None:
    start = Entry((2, 8) if total is not None else (3, 3), total)
    assert [found.kind for found in smbios_table.structures(table, start)] == kinds


@pytest.mark.parametrize(
    ("table", "total", "why"),
    [
        (b"", None, "the table ends after 0 structures, without its end marker"),
        (bios() + array(), None, "the table ends after 2 structures, without its end marker"),
        (bios() + array(), 3, "the table ends after 2 structures, without its end marker"),
        (b"\x00\x03\x00\x00" + bytes(9), None, "the structure at byte 0 says that it has 3 bytes"),
        (b"\x00\x00\x00\x00" + bytes(9), None, "the structure at byte 0 says that it has 0 bytes"),
        (END[:3], None, "the structure at byte 0 is cut off"),
        (bios() + b"\x10\xff\x00\x00" + bytes(30), None, f"the structure at byte {len(bios())} has no end"),
        (structure(1, b"", "endless")[:-1], None, "the structure at byte 0 has no end"),
        (structure(1, b"") * 70000, None, "more than 65536 structures"),
    ],
)
def test_tables_that_make_no_sense(table: bytes, total: int | None, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        smbios_table.structures(table, Entry((3, 3), total))
    assert str(failure.value) == why


def test_a_table_cut_anywhere_is_malformed() -> None:
    for cut in range(len(TABLE)):
        with pytest.raises(Malformed):
            smbios_table.structures(TABLE[:cut], None)


@pytest.mark.parametrize(
    ("second", "uefi", "guest"),
    [(0x18, True, True), (0x08, True, False), (0x10, False, True), (0, False, False), (None, None, None)],
)
def test_what_the_firmware_can_do(second: int | None, uefi: bool | None, guest: bool | None) -> None:
    table = smbios_table.structures(bios(second) + END, None)
    assert smbios_table.characteristic(table, 3) is uefi
    assert smbios_table.characteristic(table, 4) is guest


def test_without_a_bios_structure_nobody_knows() -> None:
    assert smbios_table.characteristic(smbios_table.structures(END, None), 3) is None


def test_a_bios_structure_that_is_too_short() -> None:
    table = smbios_table.structures(structure(0, b"\x01\x02") + END, None)
    with pytest.raises(Malformed, match="at byte 0 has 6 bytes, type 0 needs 18"):
        smbios_table.characteristic(table, 3)


def attempt(work: Callable[[], object]) -> object:
    """What it gives, or "malformed" with a reason; anything else that it raises is a failure."""
    try:
        return work()
    except Malformed as wrong:
        return f"malformed: {wrong}" if str(wrong) else None


@given(st.binary(max_size=300), st.integers(0, 70000) | st.none())
def test_any_bytes_are_a_table_or_malformed(content: bytes, total: int | None) -> None:
    for table in (content, TABLE + content, TABLE[:-6] + content):
        assert attempt(partial(smbios_table.structures, table, Entry((2, 8), total))) is not None
    for anchor in (b"_SM_", b"_SM3_"):
        assert attempt(partial(smbios_table.entry, anchor + content)) is not None


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8))
def test_bytes_that_lie(flips: list[tuple[int, int]]) -> None:
    table = bytearray(TABLE)
    for at, value in flips:
        table[at % len(table)] = value
    assert attempt(lambda: [smbios_table.characteristic(smbios_table.structures(bytes(table), None), 3)])


def test_the_recorded_tables_hold(tmp_path: Path) -> None:
    for name in NAMES:
        root = unpack(name, tmp_path / name)
        start = smbios_table.entry((root / "sys/firmware/dmi/tables/smbios_entry_point").read_bytes())
        table = smbios_table.structures((root / "sys/firmware/dmi/tables/DMI").read_bytes(), start)
        assert table[-1].kind == smbios_table.END
        assert start.total in (None, len(table))


def test_a_long_table_takes_no_time() -> None:
    table = smbios_table.structures(module() * 60000 + END, None)
    assert len(table) == 60001
    assert struct.unpack_from("<H", table[59999].data, 2) == (0,)
