"""What the firmware enforces, as far as a driver's installation depends on it."""

from __future__ import annotations

from typing import Optional

from .box import MISSING, Box, reason

EFI = "/sys/firmware/efi"
# Four bytes of attributes, then the value; the GUIDs are those of UEFI's global variables and of shim.
SECURE_BOOT = EFI + "/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SHIM_CHECKS_NOTHING = EFI + "/efivars/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"


def secure_boot(box: Box, wsl: Optional[bool], container: Optional[str]) -> Optional[bool]:
    """Whether unsigned modules are refused: Secure Boot is on, and shim has not been told to check nothing.

    None in a container and in WSL, where the machine's firmware is out of sight whatever /sys shows.
    """
    if wsl or container:
        box.missing("os.secure_boot", "not seen from inside %s" % ("WSL" if wsl else "a container"))
        return None
    if not box.there("/sys/firmware"):
        box.missing("os.secure_boot", "/sys/firmware is not there")
        return None
    if not box.there(EFI):
        return False  # legacy boot knows no Secure Boot
    state = variable(box, SECURE_BOOT)
    return None if state is None else state == 1 and variable(box, SHIM_CHECKS_NOTHING, may_lack=True) != 1


def variable(box: Box, path: str, may_lack: bool = False) -> Optional[int]:
    """The one byte of an EFI variable; None, and unknown unless it may be absent, when it cannot be read."""
    try:
        content = box.read(path)
    except OSError as error:
        if not (may_lack and error.errno in MISSING):
            box.missing("os.secure_boot", reason(error, path))
        return None
    if len(content) == 5:
        return content[4]
    box.missing("os.secure_boot", "%s has %d bytes" % (path, len(content)))
    return None
