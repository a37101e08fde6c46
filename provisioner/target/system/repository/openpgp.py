"""OpenPGP keys as bytes: which keys a file has, by fingerprint, and each of them alone (RFC 4880, 9580)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Iterator, List, NamedTuple, Tuple

_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[^\n]*\n(?:[^\n:]+:[^\n]*\n)*\s*\n(.*?)"
    rb"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_KEY, _SUBKEY, _SIGNATURE, _NAME, _TRUST, _ATTRIBUTE, _MARKER = 6, 14, 2, 13, 12, 17, 10
# What belongs to the key before it. Trust packets are one keyring's own notes.
_BELONGS = (_SUBKEY, _SIGNATURE, _NAME, _ATTRIBUTE)
_V4 = 4


class Key(NamedTuple):
    """A primary key: its fingerprint in capitals, "" of a version that is not known, and all its packets."""

    fingerprint: str
    packets: bytes


def keys(data: bytes) -> List[Key]:
    """The public keys in a keyring, armoured or not. Raises ValueError for bytes that are none."""
    found: List[Key] = []
    for tag, whole, body in _packets(dearmoured(data)):
        if tag == _KEY:
            found.append(Key(fingerprint(body), whole))
        elif tag in _BELONGS and found:
            found[-1] = found[-1]._replace(packets=found[-1].packets + whole)
        elif tag not in (_TRUST, _MARKER):
            raise ValueError("packet %d has no place among public keys" % tag)
    return found


def fingerprint(body: bytes) -> str:
    """Of a public key packet's body: SHA-1 over it (RFC 4880, 12.2); "" for another version than 4."""
    if not body or body[0] != _V4:
        return ""
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324  (the format's)


def dearmoured(data: bytes) -> bytes:
    """The packets in their ASCII armour; bytes that are in none as they are."""
    blocks = _ARMOUR.findall(data.replace(b"\r\n", b"\n"))
    if not blocks:
        return data
    try:
        # The checksum behind the last line guards against typing errors, and needs no check here.
        lines = (line for block in blocks for line in block.split() if not line.startswith(b"="))
        return b"".join(base64.b64decode(line, validate=True) for line in lines)
    except binascii.Error as error:
        raise ValueError("its armour is damaged (%s)" % error) from error


def armoured(packets: bytes) -> bytes:
    """Packets in ASCII armour, as rpm wants its keys."""
    text = base64.b64encode(packets)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    check = b"=" + base64.b64encode(_crc24(packets).to_bytes(3, "big"))
    begin, end = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
    return b"\n".join([begin, b"", *lines, check, end, b""])


def _crc24(data: bytes) -> int:
    """The checksum of RFC 4880, 6.1."""
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _ in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value & 0xFFFFFF


def _packets(data: bytes) -> Iterator[Tuple[int, bytes, bytes]]:
    """(tag, the whole packet, its body), one after the other."""
    at = 0
    while at < len(data):
        tag, start, length = _head(data, at)
        if start + length > len(data):
            raise ValueError("it breaks off in the middle of a packet")
        yield tag, data[at : start + length], data[start : start + length]
        at = start + length


def _head(data: bytes, at: int) -> Tuple[int, int, int]:
    """(tag, where the body starts, its length) of the packet at an offset."""
    first = data[at]
    if not first & 0x80:
        raise ValueError("it is no OpenPGP key")
    try:
        if first & 0x40:
            tag, octet = first & 0x3F, data[at + 1]
            if octet < 192:
                return tag, at + 2, octet
            if octet < 224:
                return tag, at + 3, ((octet - 192) << 8) + data[at + 2] + 192
            size = 4 if octet == 255 else 0
            start = at + 2
        else:
            tag, size = first >> 2 & 0x0F, (1, 2, 4, 0)[first & 3]
            start = at + 1
    except IndexError as error:
        raise ValueError("it breaks off in the middle of a packet") from error
    if not size:
        raise ValueError("a packet does not say how long it is")
    if start + size > len(data):
        raise ValueError("it breaks off in the middle of a packet")
    return tag, start + size, int.from_bytes(data[start : start + size], "big")
