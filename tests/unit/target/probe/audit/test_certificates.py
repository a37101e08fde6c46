"""Certificates that sign modules, and whether the firmware's owner has enrolled them."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import efi
from provisioner.target.probe.audit import certificates, readings
from provisioner.target.probe.box import Box, Malformed
from tests.unit.target.probe.signatures import ATTRIBUTES, SHA256, certificate, signatures

from .conftest import NO_CAPABILITIES, Plant, See

ONE, TWO = certificate("one"), certificate("two")
HASH_1, HASH_2 = sha256(ONE).hexdigest(), sha256(TWO).hexdigest()
LIST, LIST_1 = efi.VARIABLES + "MokListRT" + efi.SHIM, efi.VARIABLES + "MokListRT1" + efi.SHIM
WHOLE = efi.SHIMS_OWN + "MokListRT"
AS_NOBODY = {"/proc/self/status": NO_CAPABILITIES}
Files = dict[str, str | bytes]

LISTS: dict[str, tuple[Files, str, list[str] | None, str]] = {
    "none": ({}, "absent", None, LIST),
    "one": ({LIST: ATTRIBUTES + signatures(ONE)}, "read", [HASH_1], LIST),
    "in parts": (
        {LIST: ATTRIBUTES + signatures(ONE), LIST_1: ATTRIBUTES + signatures(TWO)},
        "read",
        [HASH_1, HASH_2],
        LIST,
    ),
    "without keys": ({LIST: ATTRIBUTES + signatures(bytes(32), kind=SHA256)}, "read", [], LIST),
    "whole, as shim left it": (
        {LIST: ATTRIBUTES + signatures(ONE), WHOLE: signatures(ONE, TWO)},
        "read",
        [HASH_1, HASH_2],
        WHOLE,
    ),
    "not root": (
        {LIST: ATTRIBUTES + signatures(ONE), WHOLE: signatures(ONE, TWO), **AS_NOBODY},
        "read",
        [HASH_1],
        LIST,
    ),
    "cut off": ({LIST: ATTRIBUTES + signatures(ONE)[:50]}, "error", None, LIST),
    "the second part cut off": (
        {LIST: ATTRIBUTES + signatures(ONE), LIST_1: b"\6"},
        "error",
        None,
        LIST_1,
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_owners_list(see: See, name: str) -> None:
    files, state, hashes, source = LISTS[name]
    sight = see(files)
    found = certificates.enrolled(sight.box, sight)
    assert (found["state"], found["value"], found["source"]) == (state, hashes, source)


def pem(content: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(content) + b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("content", [ONE, pem(ONE), b"a comment\n" + pem(ONE) + pem(TWO)])
def test_der_and_pem(content: bytes) -> None:
    assert certificates.der(content) == ONE


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither a DER nor a PEM certificate"),
        (b"-----BEGIN PRIVATE KEY-----", "neither a DER nor a PEM certificate"),
        (ONE[:-1], "neither a DER nor a PEM certificate"),
        (ONE + b"\n", "neither a DER nor a PEM certificate"),
        (pem(b"x"), "neither a DER nor a PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----AAAAA-----END CERTIFICATE-----", "PEM that is no base64"),
    ],
)
def test_what_is_no_certificate(content: bytes, why: str) -> None:
    with pytest.raises(Malformed) as failure:
        certificates.der(content)
    assert str(failure.value).startswith(why)


def test_a_certificate_that_was_really_made() -> None:
    real = (Path(__file__).parents[4] / "data" / "machine-owner.pem").read_bytes()
    assert sha256(certificates.der(real)).hexdigest() == REAL


# `openssl x509 -in machine-owner.pem -outform DER | sha256sum`
REAL = "cbac6541551af10cb0ab34fd3ec11fd101af9ecca1a4ea088054a18d7daedc6e"

KEY, OTHER = "/var/lib/dkms/mok.pub", "/var/lib/shim-signed/mok/MOK.der"
NOT_THERE = readings.absent("no list", LIST)
CASES: dict[
    str, tuple[Files, list[str], dict[str, Any], tuple[str, list[tuple[str, str, bool | None]] | None]]
] = {
    "enrolled": ({KEY: ONE}, [KEY], readings.read([HASH_1], LIST), ("read", [(KEY, HASH_1, True)])),
    "not enrolled": ({KEY: ONE}, [KEY], readings.read([HASH_2], LIST), ("read", [(KEY, HASH_1, False)])),
    "no list": ({KEY: ONE}, [KEY], NOT_THERE, ("read", [(KEY, HASH_1, False)])),
    "a list that was not read": (
        {KEY: ONE},
        [KEY],
        readings.hidden("x", LIST),
        ("read", [(KEY, HASH_1, None)]),
    ),
    "two, the second in PEM": (
        {KEY: ONE, OTHER: pem(TWO)},
        [KEY, OTHER],
        readings.read([HASH_2], LIST),
        ("read", [(KEY, HASH_1, False), (OTHER, HASH_2, True)]),
    ),
    "one of two is there": ({OTHER: TWO}, [KEY, OTHER], NOT_THERE, ("read", [(OTHER, HASH_2, False)])),
    "none is there": ({}, [KEY, OTHER], NOT_THERE, ("absent", None)),
    "nobody asked": ({KEY: ONE}, [], NOT_THERE, ("hidden", None)),
    "senseless": ({KEY: b"x", OTHER: TWO}, [KEY, OTHER], NOT_THERE, ("error", None)),
    "a folder in its place": ({KEY + "/": ""}, [KEY], NOT_THERE, ("hidden", None)),
}


@pytest.mark.parametrize("name", CASES)
def test_certificates(plant: Plant, name: str) -> None:
    files, paths, owners, (state, expected) = CASES[name]
    found = certificates.certificates(Box(str(plant({"/etc/": "", **files}))), paths, owners)
    assert found["state"] == state
    told = None if found["value"] is None else [tuple(one.values()) for one in found["value"]]
    assert told == expected
    assert bool(found["why"]) == (state != "read")


@given(st.binary() | st.binary().map(pem) | st.binary(max_size=50).map(lambda more: ONE + more))
def test_any_bytes_are_a_certificate_or_malformed(content: bytes) -> None:
    try:
        assert certificates.der(content).startswith(b"\x30\x82")
    except Malformed:
        return
