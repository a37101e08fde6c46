"""How the machine was started, and what its firmware enforces and says of itself."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List

from .. import efi, system
from ..box import Box, Malformed, clean
from . import loader, readings, smbios_table
from .certificates import certificates, enrolled
from .readings import Reading
from .sight import DMI, Sight

FIRMWARE = "/sys/firmware"
IDS = "/sys/class/dmi/id/"
BOARD = (
    "sys_vendor",
    "product_name",
    "board_vendor",
    "board_name",
    "bios_vendor",
    "bios_version",
    "bios_date",
)
LOCKDOWN = "/sys/kernel/security/lockdown"
TPM = "/sys/class/tpm/tpm0"
ATTRIBUTES = "/sys/class/firmware-attributes"
SECURE_BOOT_AT = 0x1EC  # boot_params.secure_boot: 0 not told, 1 not known, 2 off, 3 on
UEFI_BIT = 3
# Each setting is a call into the firmware, some of them slow: only those that concern what is judged here.
CONCERNED = re.compile(
    r"vt|virt|svm|iommu|thread|logicproc|smt|sr-?iov|bar|4g|boot|csm|legacy|uefi|tpm|tcg|aspm|c-?state", re.I
)
MOST_SETTINGS = 64
LONGEST = 200
LEGACY = "started without UEFI, which alone has this"
NO_VARIABLES = "EFI's variables are not mounted, or the kernel runs without EFI's services"


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.firmware`."""
    if sight.firmware:
        return {name: readings.not_applicable(sight.firmware) for name in NAMES}
    mode = boot_mode(box, sight)
    owners = _variable(box, mode, lambda: enrolled(box, sight))
    return {
        "boot_mode": mode,
        "uefi_capable": uefi_capable(sight, mode),
        "secure_boot": _byte(box, mode, efi.SECURE_BOOT, "the firmware knows no Secure Boot"),
        "setup_mode": _byte(box, mode, efi.SETUP_MODE, "the firmware knows no Secure Boot"),
        "shim_validates": shim_validates(box, mode),
        "kernel_secure_boot": loader.boot_param(box, SECURE_BOOT_AT),
        "mok_count": {**owners, "value": None if owners["value"] is None else len(owners["value"])},
        "certificates": certificates(box, sight.request.get("certificates") or [], owners),
        "lockdown": lockdown(box),
        "enters_setup": _variable(box, mode, lambda: _setup(box)),
        "loader": loader.loader(box),
        "board": board(box),
        "settings": settings(box),
        "tpm": tpm(box),
    }


NAMES = (
    "boot_mode",
    "uefi_capable",
    "secure_boot",
    "setup_mode",
    "shim_validates",
    "kernel_secure_boot",
    "mok_count",
    "certificates",
    "lockdown",
    "enters_setup",
    "loader",
    "board",
    "settings",
    "tpm",
)


def boot_mode(box: Box, sight: Sight) -> Reading:
    """uefi, or legacy where an x86 machine with a BIOS shows no EFI."""
    if box.there(efi.EFI):
        return readings.read("uefi", efi.EFI)
    if not box.there(FIRMWARE):
        return readings.hidden("/sys is not mounted", FIRMWARE)
    flags = sight.facts["cpu"]["flags"]
    if not flags:
        return readings.hidden("/proc/cpuinfo does not tell what processor this is", "/proc/cpuinfo")
    if "fpu" not in flags:
        return readings.not_applicable("started neither by UEFI nor by the BIOS of a PC", efi.EFI)
    # Every BIOS of a PC since 1999 leaves SMBIOS tables; a guest without them has no firmware at all.
    if not box.there(IDS) and sight.virtualization["value"] not in ("none", None):
        return readings.not_applicable("this guest has no firmware: its kernel was started directly", efi.EFI)
    return readings.read("legacy", efi.EFI)


def uefi_capable(sight: Sight, mode: Reading) -> Reading:
    """Whether the firmware can boot by UEFI, however it did."""
    if mode["value"] == "uefi":
        return readings.read(True, efi.EFI)
    table = sight.smbios
    if table["state"] != "read":
        return table
    try:
        able = smbios_table.characteristic(table["value"], UEFI_BIT)
    except Malformed as wrong:
        return readings.error(str(wrong), DMI)
    if able is None:
        return readings.absent("firmware this old does not tell", DMI)
    return readings.read(able, DMI, 0x13)


def _variable(box: Box, mode: Reading, look: Callable[[], Reading]) -> Reading:
    """What `look` finds among EFI's variables; why there are none, where there are none."""
    if mode["value"] == "legacy":
        return readings.absent(LEGACY, efi.EFI)
    if mode["value"] != "uefi":
        return mode
    found = look()
    if found["state"] == "absent" and not system.listing(box.path(efi.VARIABLES)):
        return readings.hidden(NO_VARIABLES, efi.VARIABLES)
    return found


def _byte(box: Box, mode: Reading, path: str, absent_means: str) -> Reading:
    def look() -> Reading:
        found = readings.from_file(box, path, efi.byte, absent_means)
        return {**found, "offset": 4} if found["state"] == "read" else found

    return _variable(box, mode, look)


def shim_validates(box: Box, mode: Reading) -> Reading:
    """False when shim was told to check nothing; absent where shim tells nothing, and so checks."""
    told = _byte(box, mode, efi.SHIM_CHECKS_NOTHING, "shim was told nothing, or did not start this machine")
    return {**told, "value": told["value"] != 1} if told["state"] == "read" else told


def _setup(box: Box) -> Reading:
    return readings.from_file(
        box, efi.INDICATIONS, efi.enters_setup, "the firmware does not say what it can be asked for"
    )


def lockdown(box: Box) -> Reading:
    """The kernel's lockdown: none, integrity or confidentiality."""
    found = readings.from_file(box, LOCKDOWN, readings.chosen, "this kernel has no lockdown")
    if found["state"] == "absent" and not system.listing(box.path(os.path.dirname(LOCKDOWN))):
        return readings.hidden("securityfs is not mounted", LOCKDOWN)
    return found


def board(box: Box) -> Reading:
    """Names from DMI, which everyone may read."""
    if not box.there(IDS):
        return readings.absent("this machine's firmware left no SMBIOS tables", IDS)
    return readings.read(
        {name: (box.peek("audit.firmware", IDS + name) or "").strip() for name in BOARD}, IDS
    )


def settings(box: Box) -> Reading:
    """What the firmware says of its own settings, by driver and name ("thinklmi/VTdFeature")."""
    found: Dict[str, str] = {}
    refused: List[Reading] = []
    for driver in sorted(system.listing(box.path(ATTRIBUTES))):
        folder = "%s/%s/attributes" % (ATTRIBUTES, driver)
        for name in sorted(filter(CONCERNED.search, system.listing(box.path(folder)))):
            if len(found) + len(refused) == MOST_SETTINGS:
                break
            one = readings.from_file(box, "%s/%s/current_value" % (folder, name), readings.word, "")
            if one["state"] == "read":
                found[clean("%s/%s" % (driver, name))] = one["value"][:LONGEST]
            elif one["state"] == "hidden":
                refused.append(one)
    if found:
        return readings.read(found, ATTRIBUTES)
    if refused:
        return refused[0]
    return readings.absent("the firmware shows its settings to no driver of this kernel", ATTRIBUTES)


def tpm(box: Box) -> Reading:
    """The TPM's major version."""
    if not box.there(TPM):
        return readings.absent("the kernel found no TPM", TPM)
    return readings.from_file(
        box, TPM + "/tpm_version_major", readings.word, "this kernel does not tell the TPM's version"
    )
