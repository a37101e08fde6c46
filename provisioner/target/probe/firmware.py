"""What the firmware enforces, as far as a driver's installation depends on it."""

from __future__ import annotations

from typing import Optional

from . import efi
from .box import MISSING, Box, Malformed, reason


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
    if not box.there(efi.EFI):
        return False  # legacy boot knows no Secure Boot
    state = _byte(box, efi.SECURE_BOOT)
    return None if state is None else state == 1 and _byte(box, efi.SHIM_CHECKS_NOTHING, may_lack=True) != 1


def _byte(box: Box, path: str, may_lack: bool = False) -> Optional[int]:
    """The one byte of an EFI variable; None, and unknown unless it may be absent, when it cannot be read."""
    try:
        return efi.byte(box.read(path))
    except OSError as error:
        if not (may_lack and error.errno in MISSING):
            box.missing("os.secure_boot", reason(error, path))
    except Malformed as wrong:
        box.missing("os.secure_boot", "%s: %s" % (path, wrong))
    return None
