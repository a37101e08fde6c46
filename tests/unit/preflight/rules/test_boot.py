"""Boot mode, Secure Boot and its three witnesses, the owner's keys, lockdown, TPM, fast boot."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import Certificate
from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import (
    Detail,
    Row,
    absent,
    ask,
    broken,
    case,
    check,
    check_detail,
    contained,
    elsewhere,
    hidden,
)

MODE, SECURE, MOK = "boot.mode", "boot.secure-boot", "boot.mok"
LOCKDOWN, TPM, FAST = "boot.lockdown", "boot.tpm", "boot.fast-boot"
GUEST = {"virtualization": "kvm"}
UEFI: dict[str, Any] = {"boot_mode": "uefi", "uefi_capable": True}
LEGACY: dict[str, Any] = {"boot_mode": "legacy", "uefi_capable": False}
CSM = LEGACY | {"uefi_capable": True}
OFF = UEFI | {"secure_boot": 0, "setup_mode": 0, "kernel_secure_boot": 2}
ON = UEFI | {"secure_boot": 1, "setup_mode": 0, "kernel_secure_boot": 3, "shim_validates": True}
DRIVER = Needs(driver=True)
LOADS = "pass file:/var/lib/dkms/mok.pub: Modules signed with /var/lib/dkms/mok.pub load: it is enrolled"


def key(enrolled: bool | None, path: str = "/var/lib/dkms/mok.pub") -> Certificate:
    return Certificate(path, "ab" * 32, enrolled)


ROWS = (
    Row("UEFI", MODE, {"firmware": UEFI}, "pass: The machine was started by UEFI"),
    Row(
        "CSM", MODE, {"firmware": CSM},
        "warn warning: The machine was started the old way (CSM), although its firmware can do UEFI",
        "firmware",
    ),
    Row(
        "CSM in a guest", MODE, {"firmware": CSM, "sight": GUEST},
        "warn warning: The machine was started the old way (CSM), although its firmware can do UEFI",
        "host",
    ),
    Row(
        "an old machine", MODE, {"firmware": LEGACY},
        "pass info: The machine was started the old way (BIOS): its firmware says that it knows no UEFI",
    ),
    Row(
        # As root this may be a warning: what only root may read does not make it fine.
        "DMI hidden", MODE, {"firmware": LEGACY | {"uefi_capable": hidden()}},
        "unknown: The machine was started the old way; whether its firmware can do UEFI: "
        "only root may read it",
    ),
    Row(
        "no DMI", MODE, {"firmware": LEGACY | {"uefi_capable": absent("no SMBIOS tables")}},
        "pass info heuristic: The machine was started the old way; whether its firmware can do UEFI it does "
        "not say",
    ),
    Row("masked", MODE, {"firmware": {"boot_mode": hidden("masked")}}, "unknown: The boot mode: masked"),
    Row("off", SECURE, {"firmware": OFF}, "pass: Secure Boot is off"),
    Row("not there", SECURE, {"firmware": UEFI | {"secure_boot": absent()}}, "pass: Secure Boot is off"),
    Row(
        "setup mode", SECURE, {"firmware": OFF | {"setup_mode": 1}},
        "pass: Secure Boot is off: the firmware is in setup mode",
    ),
    Row("legacy", SECURE, {"firmware": LEGACY}, "pass: Secure Boot does not exist without UEFI"),
    Row("on", SECURE, {"firmware": ON}, "pass info: Secure Boot is on"),
    Row(
        "on, kernel not asked", SECURE, {"firmware": UEFI | {"secure_boot": 1}},
        "pass info: Secure Boot is on",
    ),
    Row(
        "on by the kernel alone", SECURE, {"firmware": UEFI | {"kernel_secure_boot": 3}},
        "pass info: Secure Boot is on",
    ),
    Row(
        "on, no driver to come, no key", SECURE, {"firmware": ON | {"certificates": (key(False),)}},
        "pass info: Secure Boot is on",
    ),
    Row(
        "on before a driver", SECURE, {"firmware": ON | {"certificates": (key(False),)}, "needs": DRIVER},
        "warn warning likely: Secure Boot is on, and no key of this machine is enrolled: "
        "a driver built here will not load",
        "system",
    ),
    *(
        Row(
            f"on before a driver, {name}", SECURE, {"firmware": ON | {"certificates": seen}, "needs": DRIVER},
            "warn warning heuristic: Secure Boot is on: a driver built here loads only with an enrolled key, "
            "and that was not shown",
            "system",
        )
        for name, seen in (("list hidden", (key(None), key(False))), ("certificates hidden", hidden()))
    ),
    Row(
        "no firmware at all", SECURE, {"firmware": {"secure_boot": elsewhere("no firmware")}},
        "not_applicable: Secure Boot: no firmware",
    ),
    Row(
        "no firmware at all", MOK,
        {"firmware": {"secure_boot": elsewhere("no firmware"), "certificates": ()}},
        "not_applicable: The owner's keys (MOK): no firmware",
    ),
    Row(
        "on before a driver, no key yet", SECURE, {"firmware": ON | {"certificates": ()}, "needs": DRIVER},
        "warn warning likely: Secure Boot is on, and no key of this machine is enrolled: "
        "a driver built here will not load",
        "system",
    ),
    Row(
        "on before a driver, key enrolled", SECURE,
        {"firmware": ON | {"certificates": (key(False), key(True, "/other"))}, "needs": DRIVER},
        "pass info: Secure Boot is on",
    ),
    Row(
        "shim checks nothing", SECURE,
        {"firmware": ON | {"shim_validates": False, "kernel_secure_boot": 2}, "needs": DRIVER},
        "pass info: Secure Boot is on in the firmware, but its loader (shim) was told to check nothing: "
        "modules load unsigned",
    ),
    Row(
        "on, and the kernel says off", SECURE, {"firmware": ON | {"kernel_secure_boot": 2}},
        "warn warning likely: The firmware says that Secure Boot is on, the kernel was started "
        "as if it were off",
        "system",
    ),
    Row(
        "off, and the kernel says on", SECURE, {"firmware": OFF | {"kernel_secure_boot": 3}},
        "warn warning likely: The firmware says that Secure Boot is off, the kernel was started "
        "as if it were on",
        "system",
    ),
    Row(
        "variables hidden", SECURE, {"firmware": UEFI | {"secure_boot": hidden("efivarfs is not mounted")}},
        "unknown: Secure Boot: efivarfs is not mounted",
    ),
    Row(
        "half a variable", SECURE, {"firmware": UEFI | {"secure_boot": broken("4 bytes, and no value")}},
        "error: Secure Boot: 4 bytes, and no value",
    ),
    Row(
        "enrolled", MOK, {"firmware": ON | {"certificates": (key(True),)}},
        "pass file:/var/lib/dkms/mok.pub: Modules signed with /var/lib/dkms/mok.pub load: it is enrolled",
    ),
    Row(
        "not enrolled", MOK, {"firmware": ON | {"certificates": (key(False),)}},
        "warn warning file:/var/lib/dkms/mok.pub: "
        "Modules signed with /var/lib/dkms/mok.pub will not load: the firmware does not know it",
        "system",
    ),
    Row(
        "one of two", MOK, {"firmware": ON | {"certificates": (key(True), key(False, "/x"))}},
        (
            "warn warning file:/x: Modules signed with /x will not load: the firmware does not know it",
            LOADS,
        ),
    ),
    Row(
        "list hidden", MOK,
        {"firmware": ON | {"certificates": (key(None),), "mok_count": hidden("only root may read it")}},
        "unknown file:/var/lib/dkms/mok.pub: Whether /var/lib/dkms/mok.pub is enrolled: only "
        "root may read it",
    ),
    Row(
        "counted, and not compared", MOK,
        {"firmware": ON | {"certificates": (key(None, "/x"),), "mok_count": 3}},
        "unknown file:/x: Whether /x is enrolled: the firmware's list of them could not be read",
    ),
    Row(
        "certificates hidden", MOK, {"firmware": ON | {"certificates": hidden()}},
        "unknown: The key that signs modules here: only root may read it",
    ),
    Row(
        "none", MOK, {"firmware": ON | {"certificates": ()}}, "pass: No modules are signed on this machine",
    ),
    Row(
        "none before a driver", MOK, {"firmware": ON | {"certificates": absent()}, "needs": DRIVER},
        "warn warning likely: There is no key here yet to sign modules with: "
        "the driver's build makes one, which must then be enrolled",
        "system",
    ),
    *(
        Row(
            name, MOK, {"firmware": said | {"certificates": (key(False),)}, "needs": DRIVER},
            "not_applicable: The owner's keys (MOK): nothing is checked against them: Secure Boot is not on",
        )
        for name, said in (
            ("off", OFF), ("legacy", LEGACY), ("shim checks nothing", ON | {"shim_validates": False}),
            ("off by the kernel", UEFI | {"kernel_secure_boot": 2}),
            ("not there", UEFI | {"secure_boot": absent()}),
        )
    ),
    Row(
        "on by the variable, off by the kernel", MOK,
        {"firmware": ON | {"kernel_secure_boot": 2, "certificates": (key(True),)}},
        LOADS,
    ),
    Row(
        "Secure Boot not readable", MOK, {"firmware": UEFI | {"certificates": (key(True),)}},
        "pass file:/var/lib/dkms/mok.pub: Modules signed with /var/lib/dkms/mok.pub load: it is enrolled",
    ),
    Row("open", LOCKDOWN, {"firmware": {"lockdown": "none"}}, "pass: The kernel is not locked down"),
    Row(
        "integrity", LOCKDOWN, {"firmware": {"lockdown": "integrity"}},
        "pass info: The kernel is locked down (integrity): unsigned modules do not load",
    ),
    Row(
        "confidentiality", LOCKDOWN, {"firmware": {"lockdown": "confidentiality"}},
        "pass info: The kernel is locked down (confidentiality): unsigned modules do not load, "
        "nor its memory be read",
    ),
    Row(
        "not mounted", LOCKDOWN, {"firmware": {"lockdown": absent("securityfs is not mounted")}},
        "unknown: Lockdown: securityfs is not mounted",
    ),
    Row("two", TPM, {"firmware": {"tpm": "2"}}, "pass: There is a TPM 2"),
    Row(
        "none", TPM, {"firmware": {"tpm": absent()}},
        "pass info: There is no TPM, or it is switched off in the firmware",
    ),
    Row(
        "none in a guest", TPM, {"firmware": {"tpm": absent()}, "sight": {"virtualization": "kvm"}},
        "pass info: This guest was given no TPM",
    ),
    Row("hidden", TPM, {"firmware": {"tpm": hidden("masked")}}, "unknown: The TPM: masked"),
    Row(
        "never known", FAST, {"firmware": UEFI},
        "unknown: Fast boot: no interface tells it: look in the firmware's menus, under Boot",
    ),
    Row(
        "quoted", FAST, {"firmware": {"settings": {"Fastboot": "Minimal"}}},
        "unknown: Fast boot: no interface tells it: look in the firmware's menus, under Boot",
    ),
    Row(
        "of a guest", FAST, {"sight": GUEST},
        "not_applicable: Fast boot: this is a guest: its firmware has no such setting",
    ),
)  # fmt: skip


NO_KEY = "firmware: on; setup mode: no; shim: checks signatures; kernel: on"
DISTRIBUTION = "A driver that the distribution has signed itself loads even so"
DETAILS = (
    Detail(SECURE, {"firmware": OFF}, "firmware: off; setup mode: no; kernel: off", ("0", "0", "2")),
    Detail(SECURE, {"firmware": OFF | {"setup_mode": 1}}, "firmware: off; setup mode: yes; kernel: off",
           ("0", "1", "2")),
    Detail(SECURE, {"firmware": ON}, NO_KEY, ("1", "0", "checks signatures", "3")),
    Detail(SECURE, {"firmware": UEFI | {"kernel_secure_boot": 2}}, "kernel: off", ("2",)),
    Detail(SECURE, {"firmware": UEFI | {"secure_boot": absent()}}, "off", ()),
    Detail(
        SECURE, {"firmware": ON, "needs": DRIVER},
        NO_KEY, ("1", "0", "checks signatures", "3"), DISTRIBUTION, "boot.mok",
    ),
    Detail(
        SECURE, {"firmware": ON | {"certificates": (key(None), key(False))}, "needs": DRIVER},
        NO_KEY, ("1", "0", "checks signatures", "3"), DISTRIBUTION, "boot.mok",
    ),
)  # fmt: skip


@pytest.mark.parametrize("detail", DETAILS, ids=str)
def test_detail(detail: Detail) -> None:
    check_detail(detail)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_secure_boot_is_told_as_each_witness_has_it() -> None:
    (found,) = ask(SECURE, case(firmware=ON | {"shim_validates": False, "kernel_secure_boot": 2}))
    assert found.observed == "firmware: on; setup mode: no; shim: checks nothing; kernel: off"
    assert [one.value for one in found.evidence] == ["1", "0", "checks nothing", "2"]


def test_enrolling_needs_someone_at_the_screen() -> None:
    (found,) = ask(MOK, case(firmware=ON | {"certificates": (key(False),)}))
    assert found.remedy is not None
    assert found.remedy.steps[0].startswith("`sudo mokutil --import /var/lib/dkms/mok.pub`")
    assert "own screen" in found.remedy.risk


def test_a_system_that_was_installed_the_old_way_is_warned_before_csm_goes_off() -> None:
    (found,) = ask(MODE, case(firmware=CSM))
    assert found.remedy is not None
    assert "does not start any more" in found.remedy.risk


def test_what_the_firmware_calls_fast_boot_is_quoted() -> None:
    (found,) = ask(FAST, case(firmware={"settings": {"Fastboot": "Minimal"}}))
    assert (found.observed, found.evidence[0].value) == ("Fastboot: Minimal", "Minimal")


@pytest.mark.parametrize("os", [{"container": "docker"}, {"wsl": True}])
@pytest.mark.parametrize("rule", [MODE, SECURE, MOK, LOCKDOWN, TPM, FAST])
def test_in_a_container_and_in_wsl_there_is_no_verdict(rule: str, os: dict[str, Any]) -> None:
    for seen in (case(whole=contained(), os=os), case(firmware=ON | {"certificates": (key(False),)}, os=os)):
        (found,) = ask(rule, seen)
        assert (found.status, found.severity, found.remedy) == ("not_applicable", "none", None)
        assert "msinfo32" in found.reason if os.get("wsl") else "container" in found.reason
