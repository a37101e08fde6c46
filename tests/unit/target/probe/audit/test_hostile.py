"""Machines whose every file lies: sections answer, each reading in a state that it has a reason for."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import audit
from provisioner.target.probe.audit import firmware, processor, smbios
from provisioner.target.probe.audit.sight import DMI, ENTRY, Sight
from provisioner.target.probe.box import Box
from tests.unit.target.probe.signatures import ATTRIBUTES, certificate, signatures

from .tables import END, ENTRY_3, array, bios, module

FACTS = {"os": {"container": None, "wsl": False}, "cpu": {"flags": ["fpu", "avx", "svm"]}}
SECTIONS: dict[str, tuple[Callable[[Box, Sight], dict[str, Any]], type]] = {
    "sight": (lambda _box, sight: sight.section(), audit.Sight),
    "firmware": (firmware.section, audit.Firmware),
    "processor": (processor.section, audit.Processor),
    "ram": (
        lambda box, sight: {"dimms": smbios.dimms(box, sight), "ecc": smbios.ecc(box, sight)},
        audit.Ram,
    ),
}
# What files of some kind begin with, so that a lie gets further than the first byte.
HONEST = [
    b"",
    ATTRIBUTES,
    ATTRIBUTES + signatures(certificate()),
    bios(8) + array() + module(),
    ENTRY_3,
    b"0::/\n",
    b"E:MEMORY_ARRAY_NUM_DEVICES=1\nE:MEMORY_DEVICE_0_",
    b"CapEff:\t",
]


class Lying(Box):
    """A box that has every file; one content for the tables, one for all others."""

    def __init__(self, content: bytes, table: bytes) -> None:
        super().__init__("/nowhere")
        self.content, self.table = content, table

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        return (self.table if path in (DMI, ENTRY) else self.content)[:limit]

    def there(self, path: str) -> bool:
        return True


class Refusing(Lying):
    """A box whose every file fails."""

    def __init__(self, number: int) -> None:
        super().__init__(b"", b"")
        self.number = number

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        raise OSError(self.number, "it fails", path)


def held(box: Box) -> None:
    """Every section answers in the shape that the controller decodes."""
    sight = Sight(box, FACTS, {"certificates": ["/mok.pub"]})
    for section, schema in SECTIONS.values():
        found = json.loads(json.dumps(section(box, sight)).encode())
        msgspec.convert(found, schema)
        for reading in found.values():
            assert (reading["state"] == "read") == (reading["value"] is not None)
            assert (reading["state"] == "read") == (reading["why"] == "")


@given(st.sampled_from(HONEST), st.binary(max_size=60), st.sampled_from([b"", END]))
def test_files_that_lie(honest: bytes, content: bytes, end: bytes) -> None:
    held(Lying(honest + content, bios(8) + array() + honest + content + end))


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENXIO]
)
def test_files_that_cannot_be_read(number: int) -> None:
    held(Refusing(number))
