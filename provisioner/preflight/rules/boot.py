"""How the machine was started: boot mode, Secure Boot and its keys, lockdown, TPM, fast boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provisioner.audit import Certificate
from provisioner.preflight import attributes
from provisioner.preflight.finding import Evidence
from provisioner.preflight.remedies import by_hand, in_firmware
from provisioner.preflight.rule import Case, Rule, Verdict, bad, cannot, good, seen
from provisioner.preflight.rules.machine import in_guest, inapplicable, of_the_machine, unknown

_KERNEL_SAYS = {2: "off", 3: "on"}
_CONSOLE = "The question comes once, on the machine's own screen, before the system starts."


@of_the_machine("The boot mode")
def mode(case: Case) -> Iterator[Verdict]:
    """Legacy boot on firmware that can do UEFI means that its compatibility module (CSM) did it."""
    firmware, limits = case.audit.firmware, in_guest(case)
    capable = firmware.uefi_capable
    if firmware.boot_mode.value == "uefi":
        said = "Whether the CSM is switched on beside it cannot be known from here."
        yield good(
            "The machine was started by UEFI",
            "uefi",
            evidence=(seen(firmware.boot_mode),),
            limits=f"{said} {limits}".strip(),
        )
    elif firmware.boot_mode.value is None:
        yield cannot(firmware.boot_mode, "The boot mode")
    elif capable.value:
        yield bad(
            "The machine was started the old way (CSM), although its firmware can do UEFI",
            "legacy boot, UEFI-capable firmware",
            "UEFI",
            evidence=(seen(firmware.boot_mode), seen(capable, "UEFI is supported")),
            limits=limits,
            remedy=in_firmware(case, "csm", "off"),
        )
    elif capable.value is False:
        yield good(
            "The machine was started the old way (BIOS): its firmware says that it knows no UEFI",
            "legacy",
            evidence=(seen(firmware.boot_mode), seen(capable, "UEFI is not supported")),
            limits=limits,
            weight="info",
        )
    elif capable.state == "absent":
        yield bad(
            "The machine was started the old way; whether its firmware can do UEFI it does not say",
            "legacy",
            "UEFI",
            evidence=(seen(firmware.boot_mode),),
            limits=f"{capable.why}. {limits}".strip(),
            weight="info",
            confidence="heuristic",
        )
    else:
        yield cannot(capable, "The machine was started the old way; whether its firmware can do UEFI")


@of_the_machine("Secure Boot")
def secure_boot(case: Case) -> Iterator[Verdict]:
    """What the variable says, what shim does, and what the kernel went by: they may disagree."""
    firmware = case.audit.firmware
    views = [(name, word) for name, word, _ in _views(case)]
    evidence = tuple(one for _, _, one in _views(case))
    observed = "; ".join(f"{name}: {word}" for name, word in views)
    rest = {"evidence": evidence, "limits": in_guest(case)}
    if firmware.boot_mode.value == "legacy":
        yield good("Secure Boot does not exist without UEFI", "legacy boot", **rest)
        return
    on, kernel = firmware.secure_boot.value, firmware.kernel_secure_boot.value
    if on is None and firmware.secure_boot.state != "absent":
        if kernel not in _KERNEL_SAYS:
            yield cannot(firmware.secure_boot, "Secure Boot")
            return
        on = int(kernel == 3)
    if on != 1:
        if kernel == 3:
            yield _disagree(observed, "off", "on", rest)
        elif firmware.setup_mode.value == 1:
            yield good("Secure Boot is off: the firmware is in setup mode", observed, **rest)
        else:
            yield good("Secure Boot is off", observed or "off", **rest)
    elif firmware.shim_validates.value is False:
        yield good(
            "Secure Boot is on in the firmware, but its loader (shim) was told to check nothing: "
            "modules load unsigned",
            observed,
            weight="info",
            **rest,
        )
    elif kernel == 2:
        yield _disagree(observed, "on", "off", rest)
    else:
        yield _enforced(case, observed, rest)


def _views(case: Case) -> Iterator[tuple[str, str, Evidence]]:
    firmware = case.audit.firmware
    on, setup = firmware.secure_boot, firmware.setup_mode
    shim, kernel = firmware.shim_validates, firmware.kernel_secure_boot
    if on.value is not None:
        yield "firmware", "on" if on.value == 1 else "off", seen(on)
    if setup.value is not None:
        yield "setup mode", "yes" if setup.value == 1 else "no", seen(setup)
    if shim.value is not None:
        word = "checks signatures" if shim.value else "checks nothing"
        yield "shim", word, seen(shim, word)
    if kernel.value in _KERNEL_SAYS:
        yield "kernel", _KERNEL_SAYS[kernel.value], seen(kernel)


def _disagree(observed: str, firmware: str, kernel: str, rest: Mapping[str, Any]) -> Verdict:
    return bad(
        f"The firmware says that Secure Boot is {firmware}, the kernel was started as if it were {kernel}",
        observed,
        "one answer",
        confidence="likely",
        remedy=by_hand(
            "See what each says: `mokutil --sb-state`, and `journalctl -k --grep 'secure boot'`.",
            "Restart: a setting that was changed since the last start counts from the next one.",
            reboot=True,
        ),
        **rest,
    )


def _enforced(case: Case, observed: str, rest: Mapping[str, Any]) -> Verdict:
    reading = case.audit.firmware.certificates
    certificates = reading.value or ()
    if not case.needs.driver or any(one.enrolled for one in certificates):
        return good("Secure Boot is on", observed, weight="info", **rest)
    looked = reading.state in ("read", "absent") and all(one.enrolled is not None for one in certificates)
    doubt = "A driver that the distribution has signed itself loads even so."
    return bad(
        "Secure Boot is on, and no key of this machine is enrolled: a driver built here will not load"
        if looked
        else "Secure Boot is on: a driver built here loads only with an enrolled key, and that was not shown",
        observed,
        "an enrolled key, a signed driver, or Secure Boot off",
        evidence=rest["evidence"],
        limits=f"{doubt} {rest['limits']}".strip(),
        confidence="likely" if looked else "heuristic",
        remedy=by_hand(
            "Choose a driver that the distribution signs, where there is one.",
            "Or let DKMS sign it, and enrol its key (see boot.mok).",
            "Or switch Secure Boot off in the firmware's menus.",
            risk="Without Secure Boot anything that can write to the disk can start before the system.",
        ),
    )


@of_the_machine("The owner's keys (MOK)")
def mok(case: Case) -> Iterator[Verdict]:
    """Whether the certificate that signs modules here is among the keys that the firmware was given."""
    firmware = case.audit.firmware
    if firmware.secure_boot.state == "not_applicable":
        yield cannot(firmware.secure_boot, "The owner's keys (MOK)")
    elif _not_enforced(case):
        yield inapplicable("The owner's keys (MOK)", "nothing is checked against them: Secure Boot is not on")
    elif firmware.certificates.value:
        for certificate in firmware.certificates.value:
            yield _certificate(case, certificate)
    elif firmware.certificates.state in ("read", "absent"):
        evidence = (seen(firmware.certificates, "none"),)
        if case.needs.driver:
            yield bad(
                "There is no key here yet to sign modules with: the driver's build makes one, "
                "which must then be enrolled",
                "no certificate",
                "an enrolled certificate",
                evidence=evidence,
                confidence="likely",
                limits="A driver that the distribution has signed itself needs none.",
                remedy=by_hand(
                    "After the driver is built: `sudo mokutil --import` the certificate that DKMS names, "
                    "and choose a password.",
                    "Restart, choose Enroll MOK, and type it.",
                    reboot=True,
                    risk=_CONSOLE,
                ),
            )
        else:
            yield good("No modules are signed on this machine", "no certificate", evidence=evidence)
    else:
        yield cannot(firmware.certificates, "The key that signs modules here")


def _not_enforced(case: Case) -> bool:
    firmware = case.audit.firmware
    if firmware.boot_mode.value == "legacy" or firmware.shim_validates.value is False:
        return True
    if firmware.secure_boot.value is not None:
        return firmware.secure_boot.value != 1
    return firmware.secure_boot.state == "absent" or firmware.kernel_secure_boot.value == 2


def _certificate(case: Case, one: Certificate) -> Verdict:
    evidence = (Evidence(one.path, f"sha256 {one.sha256[:16]}…"),)
    subject = f"file:{one.path}"
    if one.enrolled:
        return good(
            f"Modules signed with {one.path} load: it is enrolled",
            "enrolled",
            subject=subject,
            evidence=evidence,
        )
    if one.enrolled is None:
        count = case.audit.firmware.mok_count
        why = count.why or "the firmware's list of them could not be read"
        return unknown(f"Whether {one.path} is enrolled", why, subject=subject)
    return bad(
        f"Modules signed with {one.path} will not load: the firmware does not know it",
        "not enrolled",
        "enrolled",
        subject=subject,
        evidence=evidence,
        remedy=by_hand(
            f"`sudo mokutil --import {one.path}`, and choose a password.",
            "Restart, choose Enroll MOK, and type it.",
            reboot=True,
            risk=_CONSOLE,
        ),
    )


@of_the_machine("Lockdown")
def lockdown(case: Case) -> Iterator[Verdict]:
    """What the kernel forbids even to root."""
    word = case.audit.firmware.lockdown
    if word.value is None:
        yield cannot(word, "Lockdown")
    elif word.value == "none":
        yield good("The kernel is not locked down", "none", evidence=(seen(word),))
    else:
        more = ", nor its memory be read" if word.value == "confidentiality" else ""
        yield good(
            f"The kernel is locked down ({word.value}): unsigned modules do not load{more}",
            word.value,
            evidence=(seen(word),),
            weight="info",
        )


@of_the_machine("The TPM")
def tpm(case: Case) -> Iterator[Verdict]:
    """A TPM, and of which version: nothing here needs one."""
    version = case.audit.firmware.tpm
    if version.value:
        yield good(
            f"There is a TPM {version.value}",
            version.value,
            evidence=(seen(version),),
            limits=in_guest(case),
        )
    elif version.state == "absent":
        yield good(
            "This guest was given no TPM"
            if case.virtual
            else "There is no TPM, or it is switched off in the firmware",
            "none",
            evidence=(seen(version, "none"),),
            limits=in_guest(case),
            weight="info",
        )
    else:
        yield cannot(version, "The TPM")


@of_the_machine("Fast boot")
def fast_boot(case: Case) -> Iterator[Verdict]:
    """Never known: no interface tells it. What the firmware says of it is quoted, where it does."""
    if case.virtual:
        yield inapplicable("Fast boot", "this is a guest: its firmware has no such setting")
        return
    said = attributes.said(case, "fast-boot")
    why = "no interface tells it: look in the firmware's menus, under Boot"
    yield Verdict(
        "unknown",
        f"Fast boot: {why}",
        observed=f"{said.name}: {said.value}" if said else "",
        evidence=(said.evidence,) if said else (),
        reason=why,
    )


RULES = (
    Rule("boot.mode", "firmware", mode, "warn"),
    Rule("boot.secure-boot", "firmware", secure_boot, "warn"),
    Rule("boot.mok", "firmware", mok, "warn"),
    Rule("boot.lockdown", "firmware", lockdown, "info"),
    Rule("boot.tpm", "firmware", tpm, "info"),
    Rule("boot.fast-boot", "firmware", fast_boot, "info"),
)
