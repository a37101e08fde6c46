"""The firmware of a machine: SeaBIOS, or OVMF with variables of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from tests.lab.process import LabError

from .host import OVMF

Firmware = Literal["bios", "uefi", "secure-boot", "setup-mode"]
"""uefi: OVMF with an owner's keys and Secure Boot switched off. secure-boot: the same, switched on.
setup-mode: without keys, so that nothing can be enforced.
"""
FIRMWARE: tuple[Firmware, ...] = get_args(Firmware)

CODE = OVMF / "OVMF_CODE_4M.secboot.fd"
TEMPLATES = {
    "uefi": OVMF / "OVMF_VARS_4M.snakeoil.fd",
    "secure-boot": OVMF / "OVMF_VARS_4M.snakeoil.fd",
    "setup-mode": OVMF / "OVMF_VARS_4M.fd",
}
# The variable behind the menu entry "Attempt Secure Boot": one byte, after its name and the name's final 0.
SWITCH = "SecureBootEnable\0".encode("utf-16-le")


def variables(firmware: Firmware, home: Path) -> None:
    """Write the machine's own EFI variables into `home`; SeaBIOS has none."""
    if firmware == "bios":
        return
    content = TEMPLATES[firmware].read_bytes()
    store(home).write_bytes(switched_off(content) if firmware == "uefi" else content)


def store(home: Path) -> Path:
    """Where a machine's EFI variables lie."""
    return home / "variables.fd"


def switched_off(content: bytes) -> bytes:
    """A variable store whose Secure Boot is switched off, as in the firmware's menu; its keys stay."""
    at = content.find(SWITCH) + len(SWITCH)
    if content.count(SWITCH) != 1 or content[at : at + 1] != b"\x01":
        raise LabError("these EFI variables do not have Secure Boot switched on once", f"of {CODE.parent}")
    return content[:at] + b"\x00" + content[at + 1 :]
