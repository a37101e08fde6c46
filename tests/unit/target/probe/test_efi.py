"""EFI variables from bytes: what holds, and what is malformed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import efi
from provisioner.target.probe.box import Malformed

from .signatures import ATTRIBUTES, SHA256, certificate, signatures

ONE, TWO = certificate("one"), certificate("two")
LISTS = signatures(ONE) + signatures(bytes(32), bytes(32), kind=SHA256) + signatures(TWO, ONE, header=b"head")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (signatures(ONE), [ONE]),
        (signatures(ONE, TWO), [ONE, TWO]),
        (LISTS, [ONE, TWO, ONE]),
        (signatures(bytes(32), kind=SHA256), []),  # what shim leaves when its owner has no keys
        (signatures(), []),
    ],
)
def test_certificates_of_signature_lists(content: bytes, found: list[bytes]) -> None:
    assert efi.certificates(content) == found


def lying(size: int | None = None, header: int | None = None, each: int | None = None) -> bytes:
    """A list of one certificate that says something else of itself."""
    content = signatures(ONE)
    kind, *said = efi.HEADER.unpack_from(content)
    told = [true if lie is None else lie for true, lie in zip(said, (size, header, each), strict=True)]
    return efi.HEADER.pack(kind, *told) + content[28:]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"x", "the signature list at byte 0 is cut off"),
        (signatures(ONE) + b"x", f"the signature list at byte {28 + 16 + len(ONE)} is cut off"),
        (lying(size=0), "the signature list at byte 0 says that it has 0 bytes"),
        (lying(size=27), "the signature list at byte 0 says that it has 27 bytes"),
        (lying(size=99999), "the signature list at byte 0 says that it has 99999 bytes"),
        (lying(header=0xFFFFFFFF), "the signature list at byte 0 says that it has 248 bytes"),
        (lying(each=0), "the signature list at byte 0 has 220 bytes for signatures of 0"),
        (lying(each=16), "the signature list at byte 0 has 220 bytes for signatures of 16"),
        (lying(each=219), "the signature list at byte 0 has 220 bytes for signatures of 219"),
    ],
)
def test_signature_lists_that_make_no_sense(content: bytes, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        efi.certificates(content)
    assert str(failure.value) == why


def test_lists_cut_anywhere_are_malformed_or_end_there() -> None:
    first = len(signatures(ONE))
    ends = (first, first + len(signatures(bytes(32), bytes(32), kind=SHA256)))
    for cut in range(1, len(LISTS)):
        if cut in ends:
            assert efi.certificates(LISTS[:cut]) == [ONE]
        else:
            with pytest.raises(Malformed):
                efi.certificates(LISTS[:cut])


@pytest.mark.parametrize(
    ("parse", "value", "found"),
    [
        (efi.byte, b"\1", 1),
        (efi.byte, b"\0", 0),
        (efi.value, b"abc", b"abc"),
        (efi.value, b"", b""),
        (efi.enters_setup, b"\1" + bytes(7), True),
        (efi.enters_setup, b"\x42" + bytes(7), False),
        (efi.text, "systemd-boot 254.5-1\0".encode("utf-16-le"), "systemd-boot 254.5-1"),
        (efi.text, "GRUB 2.12".encode("utf-16-le"), "GRUB 2.12"),
    ],
)
def test_variables(parse: Any, value: bytes, found: object) -> None:
    assert parse(ATTRIBUTES + value) == found


@pytest.mark.parametrize(
    ("parse", "content", "why"),
    [
        (efi.value, b"\6\0\0", "an EFI variable of 3 bytes"),
        (efi.byte, ATTRIBUTES, "an EFI variable of 4 bytes where 5 were to be"),
        (efi.byte, ATTRIBUTES + b"\0\0", "an EFI variable of 6 bytes where 5 were to be"),
        (efi.enters_setup, ATTRIBUTES + b"\1", "an EFI variable of 5 bytes where 12 were to be"),
        (efi.text, ATTRIBUTES + b"\x00\xd8", "an EFI string that is no UTF-16"),
        (efi.text, ATTRIBUTES + b"a", "an EFI string that is no UTF-16"),
        (efi.text, ATTRIBUTES + b"\0\0", "an EFI string that cannot be read: ''"),
        (efi.text, ATTRIBUTES + b"\x1b\0", "an EFI string that cannot be read: '\\x1b'"),
    ],
)
def test_variables_that_make_no_sense(parse: Any, content: bytes, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        parse(content)
    assert str(failure.value) == why


@given(st.binary(max_size=200))
def test_any_bytes_are_a_variable_or_malformed(content: bytes) -> None:
    for parse in (efi.value, efi.byte, efi.enters_setup, efi.text):
        try:
            assert parse(content) is not None
        except Malformed:
            continue


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=8), st.binary(max_size=60))
def test_lists_that_lie(flips: list[tuple[int, int]], tail: bytes) -> None:
    lists = bytearray(LISTS + tail)
    for at, value in flips:
        lists[at % len(lists)] = value
    try:
        found = efi.certificates(bytes(lists))
    except Malformed:
        return
    assert sum(map(len, found)) <= len(lists)
