from __future__ import annotations

import pytest

from provisioner.target.system.repository.openpgp import armoured, dearmoured, keys

from .keyrings import ARMOURED, BOTH, FINGERPRINT, OTHER, OTHER_ARMOURED


def test_fingerprints_are_those_that_gpg_says() -> None:
    assert [key.fingerprint for key in keys(ARMOURED)] == [FINGERPRINT]
    assert [key.fingerprint for key in keys(OTHER_ARMOURED)] == [OTHER]
    assert [key.fingerprint for key in keys(BOTH)] == [FINGERPRINT, OTHER]


def test_each_key_has_its_own_packets_and_no_other() -> None:
    first, second = keys(BOTH)
    assert first.packets + second.packets == BOTH
    assert [key.fingerprint for key in keys(second.packets)] == [OTHER]


def test_armour_comes_and_goes() -> None:
    plain = dearmoured(ARMOURED)
    assert dearmoured(plain) == plain
    # gpg's own lines, checksum included.
    assert armoured(plain) == ARMOURED
    assert dearmoured(ARMOURED.replace(b"\n", b"\r\n")) == plain
    headed = ARMOURED.replace(b"BLOCK-----\n\n", b"BLOCK-----\nVersion: 2\nComment: none\n\n", 1)
    assert dearmoured(headed) == plain
    assert len(keys(ARMOURED + OTHER_ARMOURED)) == 2


def test_a_key_that_was_changed_has_another_fingerprint() -> None:
    plain = bytearray(dearmoured(ARMOURED))
    plain[40] ^= 1
    assert [key.fingerprint for key in keys(bytes(plain))] != [FINGERPRINT]


@pytest.mark.parametrize("version", [2, 3, 5, 6])
def test_a_version_whose_fingerprint_is_made_otherwise_has_none(version: int) -> None:
    plain = bytearray(dearmoured(ARMOURED))
    plain[3] = version
    assert [key.fingerprint for key in keys(bytes(plain))] == [""]


def test_half_a_keyring_is_refused_or_has_fewer_packets() -> None:
    for length in range(1, len(BOTH)):
        try:
            found = keys(BOTH[:length])
        except ValueError:
            continue
        assert sum(len(key.packets) for key in found) == length


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<html>not here</html>", "it is no OpenPGP key"),
        (b"\x95\x00\x01\x04", "packet 5 has no place among public keys"),  # a secret key
        (b"\xc6\xe1\x00", "a packet does not say how long it is"),
        (b"\xc6", "it breaks off in the middle of a packet"),
        (b"\xc6\xff\x00\x00", "it breaks off in the middle of a packet"),
        (
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n????\n-----END PGP PUBLIC KEY BLOCK-----\n",
            "its armour is damaged",
        ),
    ],
)
def test_what_is_no_key_says_so(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        keys(data)
