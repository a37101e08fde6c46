"""Memory modules: from the firmware's table as root, from udev's notes otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import smbios, smbios_table
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.audit.sight import DMI, ENTRY
from tests.recorded import unpack

from .conftest import NO_CAPABILITIES, See, sight_of
from .tables import END, ENTRY_3, array, entry_2, module

GIB = 1 << 30


def dimm(locator: str, size: int, **others: Any) -> dict[str, Any]:
    known = {"rated": 3200, "configured": 2933, "total_width": 72, "data_width": 64, "kind": "DDR4"}
    return {"locator": locator, "bytes": size, **known, **others}


def parsed(*table: bytes) -> list[smbios_table.Structure]:
    return smbios_table.structures(b"".join(table) + END, None)


NOTHING = {"rated": None, "configured": None, "total_width": None, "data_width": None, "kind": ""}
MODULES: list[tuple[str, bytes, list[dict[str, Any]]]] = [
    ("a module", module(16384), [dimm("DIMM_A1", 16 * GIB)]),
    ("in KiB", module(0x8000 | 512), [dimm("DIMM_A1", 512 << 10)]),
    ("extended", module(0x7FFF, extended=(131072, 0, 0)), [dimm("DIMM_A1", 128 * GIB)]),
    (
        "extended speeds",
        module(rated=0xFFFF, configured=0xFFFF, extended=(0, 70000, 66000)),
        [dimm("DIMM_A1", 16 * GIB, rated=70000, configured=66000)],
    ),
    (
        "an empty socket",
        module(0, rated=0, configured=0, widths=(0xFFFF, 0), kind=2),
        [dimm("DIMM_A1", 0, **NOTHING)],
    ),
    (
        "as old as SMBIOS 2.1",
        module(length=0x15),
        [dimm("DIMM_A1", 16 * GIB, rated=None, configured=None)],
    ),
    ("no locator", module(16384, ""), [dimm("", 16 * GIB)]),
    (
        "locators twice, banks apart",
        module(16384, "DIMM 0", "P0 CHANNEL A") + module(0, "DIMM 0", "P0 CHANNEL B"),
        [dimm("P0 CHANNEL A DIMM 0", 16 * GIB), dimm("P0 CHANNEL B DIMM 0", 0)],
    ),
    (
        "flash is no memory",
        array(use=4, handle=5) + module(16, of=5) + module(8192),
        [dimm("DIMM_A1", 8 * GIB)],
    ),
    ("none", array(), []),
]


@pytest.mark.parametrize(
    ("table", "expected"), [case[1:] for case in MODULES], ids=[case[0] for case in MODULES]
)
def test_modules_of_a_table(table: bytes, expected: list[dict[str, Any]]) -> None:
    assert smbios.modules(parsed(table)) == expected


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (module(0xFFFF), "the firmware does not know the size of the module in 'DIMM_A1'"),
        (
            module(0x7FFF, length=0x1C),
            "the module in 'DIMM_A1' says that its size is at 0x1C, and ends before",
        ),
        (module(length=0x14), "the structure at byte 0 has 20 bytes, type 17 needs 21"),
    ],
)
def test_modules_that_make_no_sense(table: bytes, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        smbios.modules(parsed(table))
    assert str(failure.value) == why


@pytest.mark.parametrize(
    ("table", "word"),
    [
        (array(3), "none"),
        (array(5), "single-bit"),
        (array(6), "multi-bit"),
        (array(7), "crc"),
        (array(6) + array(3), "none"),  # the weakest
        (array(6) + array(3, use=4), "multi-bit"),  # flash has no say
        (array(2), None),
        (array(6) + array(2), None),
        (array(0x99), None),
        (b"", None),
    ],
)
def test_correction(table: bytes, word: str | None) -> None:
    assert smbios.correction(parsed(table)) == word


# As systemd's dmi_memory_id writes it (255.4) for a machine with one module in four sockets.
UDEV = """S:dmi
I:123
E:MEMORY_ARRAY_LOCATION=System Board Or Motherboard
E:MEMORY_ARRAY_EC_TYPE=Multi-bit ECC
E:MEMORY_ARRAY_NUM_DEVICES=2
E:MEMORY_DEVICE_0_PRESENT=0
E:MEMORY_DEVICE_0_LOCATOR=DIMM_A1
E:MEMORY_DEVICE_0_TYPE=Unknown
E:MEMORY_DEVICE_1_TOTAL_WIDTH=72
E:MEMORY_DEVICE_1_DATA_WIDTH=64
E:MEMORY_DEVICE_1_SIZE=17179869184
E:MEMORY_DEVICE_1_LOCATOR=DIMM_A2
E:MEMORY_DEVICE_1_BANK_LOCATOR=BANK 1
E:MEMORY_DEVICE_1_TYPE=DDR4
E:MEMORY_DEVICE_1_SPEED_MTS=3200
E:MEMORY_DEVICE_1_CONFIGURED_SPEED_MTS=2933
G:systemd
"""
OF_UDEV = [dimm("DIMM_A1", 0, **NOTHING), dimm("DIMM_A2", 16 * GIB)]


def test_what_udev_keeps() -> None:
    found = smbios.properties(UDEV.encode())
    assert smbios.modules_of_udev(found) == OF_UDEV
    assert smbios.correction_of_udev(found) == "multi-bit"
    none = smbios.properties(UDEV.replace("E:MEMORY_ARRAY_EC_TYPE=Multi-bit ECC\n", "").encode())
    assert smbios.correction_of_udev(none) == "none"
    assert smbios.correction_of_udev({"MEMORY_ARRAY_EC_TYPE": "Unknown"}) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("SIZE=17179869184", "SIZE=lots", "udev keeps MEMORY_DEVICE_1_SIZE='lots', which is no number"),
        (
            "E:MEMORY_DEVICE_1_SIZE=17179869184\n",
            "",
            "the firmware does not know the size of the module in 'DIMM_A2'",
        ),
        ("E:MEMORY_ARRAY_NUM_DEVICES=2\n", "", "udev kept nothing of the memory modules"),
    ],
)
def test_what_udev_keeps_and_makes_no_sense(old: str, new: str, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        smbios.modules_of_udev(smbios.properties(UDEV.replace(old, new).encode()))
    assert str(failure.value) == why


TABLE = array(6) + module() + END
AS_ROOT: dict[str, str | bytes] = {ENTRY: ENTRY_3, DMI: TABLE}
AS_NOBODY: dict[str, str | bytes] = {**AS_ROOT, "/proc/self/status": NO_CAPABILITIES}
CASES: dict[str, tuple[dict[str, str | bytes], tuple[str, Any, str], tuple[str, Any, str]]] = {
    "root": (AS_ROOT, ("read", [dimm("DIMM_A1", 16 * GIB)], DMI), ("read", "multi-bit", DMI)),
    "root, though udev says otherwise": (
        {**AS_ROOT, smbios.UDEV: UDEV},
        ("read", [dimm("DIMM_A1", 16 * GIB)], DMI),
        ("read", "multi-bit", DMI),
    ),
    "not root, no udev": (AS_NOBODY, ("hidden", None, DMI), ("hidden", None, DMI)),
    "not root, with udev": (
        {**AS_NOBODY, smbios.UDEV: UDEV},
        ("read", OF_UDEV, smbios.UDEV),
        ("read", "multi-bit", smbios.UDEV),
    ),
    "not root, udev makes no sense": (
        {**AS_NOBODY, smbios.UDEV: "E:x"},
        ("error", None, smbios.UDEV),
        ("error", None, smbios.UDEV),
    ),
    "no SMBIOS": ({}, ("absent", None, DMI), ("absent", None, DMI)),
    "half a table": (
        {ENTRY: ENTRY_3, DMI: TABLE[:50], smbios.UDEV: UDEV},
        ("error", None, DMI),
        ("error", None, DMI),
    ),
    "an entry point that counts more": (
        {ENTRY: entry_2(99), DMI: TABLE},
        ("read", [dimm("DIMM_A1", 16 * GIB)], DMI),
        ("read", "multi-bit", DMI),
    ),
    "a wrong entry point": ({ENTRY: b"?", DMI: TABLE}, ("error", None, ENTRY), ("error", None, ENTRY)),
    "a module without a size": (
        {DMI: array() + module(0xFFFF) + END},
        ("error", None, DMI),
        ("read", "none", DMI),
    ),
    "no word of correction": (
        {DMI: array(2) + module() + END},
        ("read", [dimm("DIMM_A1", 16 * GIB)], DMI),
        ("absent", None, DMI),
    ),
    "inside a container": (
        {**AS_ROOT, "/run/.containerenv": ""},
        ("not_applicable", None, DMI),
        ("not_applicable", None, DMI),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_memory_as_seen(see: See, name: str) -> None:
    files, modules, correction = CASES[name]
    sight = see(files)
    for found, expected in (
        (smbios.dimms(sight.box, sight), modules),
        (smbios.ecc(sight.box, sight), correction),
    ):
        assert (found["state"], found["value"], found["source"]) == expected
        assert bool(found["why"]) == (found["state"] != "read")


def test_a_recorded_machine_with_one_module(tmp_path: Path) -> None:
    sight = sight_of(unpack("q35-smt-dmi", tmp_path))
    empty = dimm("", 0, **NOTHING)
    assert smbios.dimms(sight.box, sight)["value"] == [
        {**empty, "locator": "DIMM_A1"},
        dimm("DIMM_A2", 32 * GIB, kind="DDR5", rated=6000, configured=4800, total_width=64),
        {**empty, "locator": "DIMM_B1"},
        {**empty, "locator": "DIMM_B2"},
    ]
    assert smbios.ecc(sight.box, sight)["value"] == "none"


def attempt(content: bytes, of_table: bool) -> list[dict[str, Any]]:
    try:
        if of_table:
            return smbios.modules(smbios_table.structures(content, None))
        return smbios.modules_of_udev(smbios.properties(content))
    except Malformed:
        return []


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8))
def test_bytes_that_lie_give_modules_or_are_malformed(flips: list[tuple[int, int]]) -> None:
    table = bytearray(TABLE)
    for at, value in flips:
        table[at % len(table)] = value
    assert all(found["bytes"] >= 0 for found in attempt(bytes(table), of_table=True))


@given(st.binary() | st.text("E:MEMORY_DEVICE_0123SIZLOCATRPN=\n").map(str.encode))
def test_any_bytes_are_udevs_or_malformed(content: bytes) -> None:
    for text in (content, UDEV.encode() + content):
        assert all(found["bytes"] >= 0 for found in attempt(text, of_table=False))
