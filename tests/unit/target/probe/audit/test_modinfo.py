from __future__ import annotations

import lzma
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import modinfo
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

INFO = b"license=NVIDIA\0version=550.54.15\0srcversion=1\0vermagic=6.1\0"


def elf(info: bytes | None = INFO, wide: bool = True, order: str = "<") -> bytes:
    """A module with two or three sections: none, .modinfo, and the names."""
    names = b"\0.modinfo\0.shstrtab\0"
    start = 64 if wide else 52
    body = (info or b"") + names
    sections = [(0, 0, 0), (1, start, len(info or b"")), (10, start + len(info or b""), len(names))]
    if info is None:
        del sections[1]
    form = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    table = b"".join(
        struct.pack(form, name, 1, 0, 0, offset, size, 0, 0, 1, 0) for name, offset, size in sections
    )
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    head += struct.pack(order + ("HHIQQQ" if wide else "HHIIII"), 1, 62, 1, 0, 0, start + len(body))
    head += struct.pack(
        order + "IHHHHHH", 0, start, 0, 0, struct.calcsize(form), len(sections), len(sections) - 1
    )
    return head + body + table


def look(root: Path) -> str:
    return modinfo.version(Box(str(root)), "/nvidia.ko")


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_version_of_a_module(plant: Plant, wide: bool, order: str) -> None:
    assert look(plant({"/nvidia.ko": elf(wide=wide, order=order)})) == "550.54.15"


def test_a_module_that_was_compressed_with_xz(plant: Plant) -> None:
    padding = os.urandom(3 << 20)
    assert look(plant({"/nvidia.ko": lzma.compress(padding + b"\0" + INFO + padding)})) == "550.54.15"


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (b"", Malformed, "it ends at byte 0 of 16"),
        (b"#!/bin/sh\n# a script of some length\n", Malformed, "it is no ELF file"),
        (elf(None), Malformed, "it has no section .modinfo"),
        (elf(b"license=GPL\0"), Malformed, "it names no version"),
        (elf(b"srcversion=1\0"), Malformed, "it names no version"),
        (elf()[:-1], Malformed, "it ends at byte"),
        (elf()[:58] + b"\1\0" + elf()[60:], Malformed, "its table of sections makes no sense"),
        (b"\x28\xb5\x2f\xfd rest", modinfo.Packed, "it is compressed with zstd"),
        (lzma.compress(b"x" * 99), Malformed, "it names no version"),
        (lzma.compress(b"x" * 99)[:-20], Malformed, "it ends in the middle"),
        (b"\xfd7zXZ\0" + b"x" * 99, Malformed, "it cannot be unpacked"),
    ],
)
def test_a_file_that_does_not_tell(plant: Plant, content: bytes, error: type[Exception], why: str) -> None:
    root = plant({"/nvidia.ko": content})
    with pytest.raises(error, match=why):
        look(root)


def test_what_is_unpacked_has_an_end(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modinfo, "UNPACKED", 2 << 20)
    root = plant({"/nvidia.ko": lzma.compress(bytes(8 << 20) + INFO)})
    with pytest.raises(modinfo.Packed, match="larger than is unpacked here"):
        look(root)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_hostile_module_is_malformed_at_worst(noise: bytes, cut: int, at: int, patch: bytes) -> None:
    whole = elf()
    for data in (noise, b"\x7fELF" + noise, whole[:cut], whole[:at] + patch + whole[at + len(patch) :]):

        def read(offset: int, size: int, data: bytes = data) -> bytes:
            if offset + size > len(data):
                raise Malformed("it ends")
            return data[offset : offset + size]

        try:
            modinfo.modinfo(read)
        except Malformed:
            continue
