"""Certificates that sign kernel modules here, and the firmware's list of keys that its owner trusts (MOK)."""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any, Dict, List, Optional

from .. import efi
from ..box import MISSING, Box, Malformed, reason
from . import readings
from .readings import Reading
from .sight import Sight

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
# shim cuts a list that is too long for one variable into MokListRT, MokListRT1, …
MOST_PARTS = 16
NO_LIST = "the firmware keeps no list of the owner's keys: shim did not start this machine"


def enrolled(box: Box, sight: Sight) -> Reading:
    """SHA-256 of each certificate of the owner's list, as a list of hex."""
    whole = sight.root_file(efi.SHIMS_OWN + efi.OWNERS_KEYS, _hashes, NO_LIST)
    if whole["state"] in ("read", "error"):
        return whole
    found: List[str] = []
    for part in range(MOST_PARTS):
        path = efi.VARIABLES + efi.OWNERS_KEYS + (str(part) if part else "") + efi.SHIM
        one = readings.from_file(box, path, lambda content: _hashes(efi.value(content)), NO_LIST)
        if one["state"] == "absent" and part:
            break
        if one["state"] != "read":
            return one
        found += one["value"]
    return readings.read(found, efi.VARIABLES + efi.OWNERS_KEYS + efi.SHIM)


def _hashes(lists: bytes) -> List[str]:
    return [hashlib.sha256(certificate).hexdigest() for certificate in efi.certificates(lists)]


def certificates(box: Box, paths: List[str], owners: Reading) -> Reading:
    """`Firmware.certificates`: of these paths, those that are there."""
    if not paths:
        return readings.hidden("nobody asked for a certificate")
    # A machine that shim did not start has no list, so that no key is in one.
    known: Optional[List[str]] = [] if owners["state"] == "absent" else owners["value"]
    found: List[Dict[str, Any]] = []
    refused = None
    for path in paths:
        try:
            sha256 = hashlib.sha256(der(box.read(path))).hexdigest()
        except OSError as failure:
            if failure.errno not in MISSING:
                refused = readings.hidden(reason(failure, path), path)
            continue
        except Malformed as wrong:
            return readings.error("%s: %s" % (path, wrong), path)
        found.append({"path": path, "sha256": sha256, "enrolled": None if known is None else sha256 in known})
    if found:
        return readings.read(found, found[0]["path"])
    return refused or readings.absent("no certificate is here that signs kernel modules", ", ".join(paths))


def der(content: bytes) -> bytes:
    """A certificate's DER, also from PEM; Malformed for what is neither."""
    text = PEM.search(content)
    if text:
        try:
            content = binascii.a2b_base64(text.group(1))
        except binascii.Error as wrong:
            raise Malformed("PEM that is no base64: %s" % wrong) from wrong
    # A SEQUENCE, whose length takes two bytes in every certificate: 0x30 0x82.
    if content[:2] != b"\x30\x82" or len(content) != 4 + int.from_bytes(content[2:4], "big"):
        raise Malformed("neither a DER nor a PEM certificate")
    return content
