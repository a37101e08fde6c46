"""EFI signature lists and certificates, made from a few bytes."""

from __future__ import annotations

import struct

from provisioner.target.probe import efi

ATTRIBUTES = b"\x06\0\0\0"
SHA256 = bytes.fromhex("2616c4c14c509240aca941f936934328")  # EFI_CERT_SHA256_GUID


def certificate(text: str = "a certificate") -> bytes:
    """DER whose length is right, and nothing more."""
    body = text.encode().ljust(200, b".")
    return b"\x30\x82" + struct.pack(">H", len(body)) + body


def signatures(*entries: bytes, kind: bytes = efi.X509, header: bytes = b"") -> bytes:
    """A list of signatures of one size."""
    each = 16 + len(entries[0]) if entries else 0
    body = header + b"".join(bytes(16) + entry for entry in entries)
    return struct.pack("<16sIII", kind, 28 + len(body), len(header), each) + body
