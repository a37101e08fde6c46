"""The section of the firmware: emulated machines, recorded ones, and machines that show none."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provisioner import audit
from provisioner.target.probe import efi
from provisioner.target.probe.audit import firmware, loader
from provisioner.target.probe.audit.sight import DMI, Sight
from tests.recorded import NAMES, unpack
from tests.unit.target.probe.signatures import ATTRIBUTES, certificate, signatures

from .conftest import NO_CAPABILITIES, See, sight_of
from .processors import ZEN_2, Emulated, guest
from .tables import END, bios, structure

Files = dict[str, str | bytes]
BARE: Files = {"/proc/cpuinfo": "processor\t: 0\nmodel name\t: x\ncore id\t: 0\nflags\t: fpu vme\n"}
BOARD: Files = {
    firmware.IDS + "sys_vendor": "ASUS\n",
    firmware.IDS + "board_vendor": "ASUSTeK COMPUTER INC.\n",
    firmware.IDS + "board_name": "ProArt X670E\n",
    firmware.IDS + "bios_vendor": "American Megatrends Inc.\n",
    firmware.IDS + "bios_version": "1.2\n",
    firmware.IDS + "bios_date": "01/02/2024\n",
}
PC: Files = {**BARE, **BOARD, DMI: bios(8) + END}
ONE = certificate()
MOK = "/var/lib/dkms/mok.pub"


def variables(secure: int = 1, setup: int = 0, shim: bytes | None = None) -> Files:
    found: Files = {
        efi.SECURE_BOOT: ATTRIBUTES + bytes([secure]),
        efi.SETUP_MODE: ATTRIBUTES + bytes([setup]),
        efi.INDICATIONS: ATTRIBUTES + b"\1" + bytes(7),
    }
    return found if shim is None else {**found, efi.SHIM_CHECKS_NOTHING: ATTRIBUTES + shim}


KEYS: Files = {efi.VARIABLES + "MokListRT" + efi.SHIM: ATTRIBUTES + signatures(ONE), MOK: ONE}


def boot_params(secure: int, kind: int = 0x72) -> Files:
    content = bytearray(4096)
    content[0x1EC], content[0x210] = secure, kind
    return {loader.BOOT_PARAMS: bytes(content)}


def values(found: dict[str, Any]) -> dict[str, Any]:
    """Values of what was read; the state of what was not."""
    return {name: one["value"] if one["state"] == "read" else one["state"] for name, one in found.items()}


NO_EFI = dict.fromkeys(("secure_boot", "setup_mode", "shim_validates", "mok_count", "enters_setup"), "absent")
NOT_SAID = {
    "kernel_secure_boot": "absent",
    "certificates": "absent",
    "lockdown": "hidden",
    "loader": "absent",
    "settings": "absent",
    "tpm": "absent",
}
ASUS = {
    "sys_vendor": "ASUS",
    "product_name": "",
    "board_vendor": "ASUSTeK COMPUTER INC.",
    "board_name": "ProArt X670E",
    "bios_vendor": "American Megatrends Inc.",
    "bios_version": "1.2",
    "bios_date": "01/02/2024",
}
ENROLLED = [{"path": MOK, "sha256": sha256(ONE).hexdigest(), "enrolled": True}]

CASES: dict[str, tuple[Files, Emulated | None, dict[str, Any]]] = {
    "UEFI with Secure Boot and shim": (
        {
            **PC,
            **variables(),
            **KEYS,
            **boot_params(3),
            firmware.LOCKDOWN: "none [integrity] confidentiality\n",
            firmware.TPM + "/tpm_version_major": "2\n",
        },
        ZEN_2,
        {
            "boot_mode": "uefi",
            "uefi_capable": True,
            "secure_boot": 1,
            "setup_mode": 0,
            "shim_validates": "absent",
            "kernel_secure_boot": 3,
            "mok_count": 1,
            "certificates": ENROLLED,
            "lockdown": "integrity",
            "enters_setup": True,
            "loader": "grub",
            "board": ASUS,
            "settings": "absent",
            "tpm": "2",
        },
    ),
    "shim was told to check nothing": (
        {**PC, **variables(shim=b"\1"), **boot_params(2)},
        ZEN_2,
        {
            **NOT_SAID,
            "boot_mode": "uefi",
            "uefi_capable": True,
            "secure_boot": 1,
            "setup_mode": 0,
            "shim_validates": False,
            "kernel_secure_boot": 2,
            "mok_count": "absent",
            "enters_setup": True,
            "loader": "grub",
            "board": ASUS,
        },
    ),
    "variables that make no sense": (
        {
            **PC,
            efi.SECURE_BOOT: ATTRIBUTES,
            efi.SETUP_MODE: b"",
            efi.INDICATIONS: b"x",
            efi.SHIM_CHECKS_NOTHING: b"",
            efi.VARIABLES + "MokListRT" + efi.SHIM: ATTRIBUTES + b"?",
            MOK: ONE,
            loader.BOOT_PARAMS: b"",
            firmware.LOCKDOWN: "integrity\n",
            firmware.TPM + "/tpm_version_major": "\n",
        },
        ZEN_2,
        {
            **dict.fromkeys(firmware.NAMES, "error"),
            "boot_mode": "uefi",
            "uefi_capable": True,
            "certificates": [{**ENROLLED[0], "enrolled": None}],
            "loader": "absent",
            "board": ASUS,
            "settings": "absent",
        },
    ),
    "EFI's variables are not mounted": (
        {**PC, efi.VARIABLES: "", MOK: ONE},
        ZEN_2,
        {
            **NOT_SAID,
            **dict.fromkeys(NO_EFI, "hidden"),
            "boot_mode": "uefi",
            "uefi_capable": True,
            "certificates": [{**ENROLLED[0], "enrolled": None}],
            "board": ASUS,
        },
    ),
    "legacy, and UEFI is there": (
        PC,
        ZEN_2,
        {**NOT_SAID, **NO_EFI, "boot_mode": "legacy", "uefi_capable": True, "board": ASUS},
    ),
    "legacy, and there is no other": (
        {**PC, DMI: bios(0) + END},
        ZEN_2,
        {**NOT_SAID, **NO_EFI, "boot_mode": "legacy", "uefi_capable": False, "board": ASUS},
    ),
    "legacy, too old to tell": (
        {**PC, DMI: bios(None) + END},
        ZEN_2,
        {**NOT_SAID, **NO_EFI, "boot_mode": "legacy", "uefi_capable": "absent", "board": ASUS},
    ),
    "legacy, its table makes no sense": (
        {**PC, DMI: structure(0, b"") + END},
        ZEN_2,
        {**NOT_SAID, **NO_EFI, "boot_mode": "legacy", "uefi_capable": "error", "board": ASUS},
    ),
    "legacy, half a table": (
        {**PC, DMI: bios(8)[:9]},
        ZEN_2,
        {**NOT_SAID, **NO_EFI, "boot_mode": "legacy", "uefi_capable": "error", "board": ASUS},
    ),
    "legacy, not root": (
        {**PC, "/proc/self/status": NO_CAPABILITIES},
        ZEN_2,
        {**NOT_SAID, **NO_EFI, "boot_mode": "legacy", "uefi_capable": "hidden", "board": ASUS},
    ),
    "a guest without firmware": (
        {**BARE, "/sys/firmware/acpi/": "", **boot_params(0, 0xB0)},
        guest("KVMKVMKVM"),
        {
            **NOT_SAID,
            **dict.fromkeys(NO_EFI, "not_applicable"),
            "boot_mode": "not_applicable",
            "uefi_capable": "absent",
            "kernel_secure_boot": 0,
            "loader": "hypervisor",
            "board": "absent",
        },
    ),
    "an Arm board": (
        {
            "/proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nFeatures\t: fp\n",
            "/sys/firmware/devicetree/": "",
        },
        None,
        {
            **NOT_SAID,
            **dict.fromkeys(NO_EFI, "not_applicable"),
            "boot_mode": "not_applicable",
            "uefi_capable": "absent",
            "board": "absent",
        },
    ),
    "an unknown processor": (
        {"/sys/firmware/": ""},
        None,
        {
            **NOT_SAID,
            **dict.fromkeys(NO_EFI, "hidden"),
            "boot_mode": "hidden",
            "uefi_capable": "absent",
            "board": "absent",
        },
    ),
    "no /sys": (
        BARE,
        ZEN_2,
        {
            **NOT_SAID,
            **dict.fromkeys(NO_EFI, "hidden"),
            "boot_mode": "hidden",
            "uefi_capable": "absent",
            "board": "absent",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_emulated_machines(see: See, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, silicon, expected = CASES[name]
    monkeypatch.setattr(Sight, "processor", silicon)
    sight = see(files, certificates=[MOK])
    found = firmware.section(sight.box, sight)
    assert values(found) == expected
    for one in found.values():
        assert bool(one["why"]) == (one["state"] != "read")


WSL: Files = {"/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n", "/dev/dxg": ""}
MASK: Files = {"/proc/self/mountinfo": "4 2 0:24 / /sys/firmware ro - tmpfs tmpfs ro\n"}


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        ({"/run/.containerenv": ""}, "run this on the machine that runs it"),
        (WSL, "look on the Windows side (msinfo32)"),
        (MASK, "run this outside of it"),
    ],
)
def test_from_inside_nothing_is_said_of_the_firmware(see: See, inside: Files, where: str) -> None:
    whole = CASES["UEFI with Secure Boot and shim"][0]
    sight = see({**whole, **inside}, certificates=[MOK])
    found = firmware.section(sight.box, sight)
    assert {one["state"] for one in found.values()} == {"not_applicable"}
    assert all(where in one["why"] for one in found.values())


def test_the_section_has_every_reading(see: See) -> None:
    expected = [field.name for field in fields(audit.Firmware)]
    assert list(firmware.NAMES) == expected
    sight = see(PC)
    assert list(firmware.section(sight.box, sight)) == expected


THINKPAD = firmware.ATTRIBUTES + "/thinklmi/attributes/"


def test_settings_that_the_firmware_tells(see: See) -> None:
    sight = see(
        {
            THINKPAD + "VTdFeature/current_value": "Enable\n",
            THINKPAD + "SecureBoot/current_value": "Disable;[Optional:Disable,Enable]\n",
            THINKPAD + "BootOrder/current_value": "x" * 999,
            THINKPAD + "VirtualizationTechnology/current_value": "\n",
            THINKPAD + "BootMode/type": "enumeration\n",
            THINKPAD + "KeyboardBeep/current_value": "Disable\n",
            firmware.ATTRIBUTES + "/other/attributes/SR-IOV/current_value": "on",
            firmware.ATTRIBUTES + "/third/": "",
        }
    )
    assert firmware.settings(sight.box)["value"] == {
        "thinklmi/BootOrder": "x" * firmware.LONGEST,
        "thinklmi/SecureBoot": "Disable;[Optional:Disable,Enable]",
        "thinklmi/VTdFeature": "Enable",
        "other/SR-IOV": "on",
    }


def test_a_setting_whose_name_is_no_text(see: See, tmp_path: Path) -> None:
    folder = tmp_path / THINKPAD.strip("/") / os.fsdecode(b"Boot\xff")
    folder.mkdir(parents=True)
    (folder / "current_value").write_text("on")
    found = firmware.settings(see({}).box)["value"]
    assert json.loads(json.dumps(found).encode()) == {"thinklmi/Boot\\xff": "on"}


def test_no_more_settings_than_can_be_read_in_time(see: See) -> None:
    sight = see({THINKPAD + f"Boot{number:03d}/current_value": "x" for number in range(99)})
    assert len(firmware.settings(sight.box)["value"]) == firmware.MOST_SETTINGS


def test_settings_that_only_root_may_read(see: See) -> None:
    # A folder in a file's place stands for one that is refused: root is refused nothing else.
    sight = see({THINKPAD + "Boot/current_value/": ""})
    found = firmware.settings(sight.box)
    assert (found["state"], found["source"]) == ("hidden", THINKPAD + "Boot/current_value")


def test_lockdown_where_the_kernel_has_none(see: See) -> None:
    assert firmware.lockdown(see({}).box)["why"] == "securityfs is not mounted"
    assert firmware.lockdown(see({"/sys/kernel/security/lsm": "x"}).box)["state"] == "absent"


def test_a_tpm_of_an_old_kernel(see: See) -> None:
    found = firmware.tpm(see({firmware.TPM + "/": ""}).box)
    assert (found["state"], found["why"]) == ("absent", "this kernel does not tell the TPM's version")


# Of each: boot mode, whether UEFI is there, Secure Boot, setup mode, what the kernel says of it, lockdown.
RECORDED: dict[str, list[Any]] = {
    **{name: ["legacy", False, "absent", "absent", 0, "none", "hypervisor"] for name in NAMES},
    "q35-smt-dmi": ["legacy", True, "absent", "absent", 0, "none", "hypervisor"],
    "ovmf-8g": ["uefi", True, 0, 1, 2, "none", "absent"],
}
ASKED = ("boot_mode", "uefi_capable", "secure_boot", "setup_mode", "kernel_secure_boot", "lockdown", "loader")


def test_recorded_machines(tmp_path: Path) -> None:
    found = {}
    for name in NAMES:
        sight = sight_of(unpack(name, tmp_path / name))
        told = values(firmware.section(sight.box, sight))
        found[name] = [told[key] for key in ASKED]
    assert found == RECORDED
