"""EFI variables from bytes, as efivarfs shows them: four bytes of attributes, then the value."""

from __future__ import annotations

import struct
from typing import List

from .box import Malformed

EFI = "/sys/firmware/efi"
VARIABLES = EFI + "/efivars/"
# The same lists as shim left them in memory, whole and without attributes; only root may read them.
SHIMS_OWN = EFI + "/mok-variables/"

GLOBAL = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SHIM = "-605dab50-e046-4300-abb6-3dd810dd8b23"
LOADER = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"  # systemd's; others that keep its interface set them too
SECURE_BOOT = VARIABLES + "SecureBoot" + GLOBAL
SETUP_MODE = VARIABLES + "SetupMode" + GLOBAL
INDICATIONS = VARIABLES + "OsIndicationsSupported" + GLOBAL
SHIM_CHECKS_NOTHING = VARIABLES + "MokSBStateRT" + SHIM
LOADER_INFO = VARIABLES + "LoaderInfo" + LOADER
OWNERS_KEYS = "MokListRT"

# EFI_CERT_X509_GUID a5c059a1-94e4-4aa7-87b5-ab155c2bf072 (UEFI specification, 32.4.1), as it lies in memory.
X509 = bytes.fromhex("a159c0a5e494a74a87b5ab155c2bf072")
# EFI_SIGNATURE_LIST: type, size of the list, of its header, of each signature; a signature begins with the
# GUID of its owner.
HEADER = struct.Struct("<16sIII")
OWNER = 16


def value(content: bytes) -> bytes:
    """A variable's value; Malformed when there is not even room for the attributes."""
    if len(content) < 4:
        raise Malformed("an EFI variable of %d bytes" % len(content))
    return content[4:]


def byte(content: bytes) -> int:
    """A variable that is one byte; Malformed."""
    if len(content) != 5:
        raise Malformed("an EFI variable of %d bytes where 5 were to be" % len(content))
    return content[4]


def enters_setup(content: bytes) -> bool:
    """OsIndicationsSupported: whether the system can ask for the firmware's menu at the next start."""
    if len(content) != 12:
        raise Malformed("an EFI variable of %d bytes where 12 were to be" % len(content))
    return bool(content[4] & 1)


def text(content: bytes) -> str:
    """A variable that is a string of UTF-16; Malformed."""
    try:
        found = value(content).decode("utf-16-le").split("\0")[0].strip()
    except UnicodeDecodeError as wrong:
        raise Malformed("an EFI string that is no UTF-16") from wrong
    if not found or not found.isprintable():
        raise Malformed("an EFI string that cannot be read: %.60r" % found)
    return found


def certificates(lists: bytes) -> List[bytes]:
    """The X.509 certificates (DER) in a variable's value of signature lists; Malformed.

    Lists of another type (hashes of single programs) are stepped over.
    """
    found = []
    at = 0
    while at < len(lists):
        if at + HEADER.size > len(lists):
            raise Malformed("the signature list at byte %d is cut off" % at)
        kind, size, header, each = HEADER.unpack_from(lists, at)
        first = at + HEADER.size + header
        end = at + size
        # Each step goes forward by a list's header at least, so that this ends.
        if size < HEADER.size or first > end or end > len(lists):
            raise Malformed("the signature list at byte %d says that it has %d bytes" % (at, size))
        if kind == X509 and first < end:
            if each <= OWNER or (end - first) % each:
                raise Malformed(
                    "the signature list at byte %d has %d bytes for signatures of %d"
                    % (at, end - first, each)
                )
            found += [lists[start + OWNER : start + each] for start in range(first, end, each)]
        at = end
    return found
