"""The IOMMU: offered by the firmware, switched on by the kernel, and in which mode."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.preflight import attributes
from provisioner.preflight.finding import Evidence, Remedy
from provisioner.preflight.remedies import by_hand, in_firmware, kernel_option
from provisioner.preflight.rule import Case, Rule, Verdict, bad, cannot, good, seen
from provisioner.preflight.rules.machine import (
    in_guest,
    inapplicable,
    of_the_machine,
    unknown,
    x86,
)

_OFF = ("intel_iommu=off", "amd_iommu=off", "iommu=off")
_NO_REMAPPING = ("intremap=off", "nointremap")
_UNCHANGED = ("iommu=pt", "iommu.passthrough=1", "iommu.passthrough=on")


@of_the_machine("The IOMMU")
def mode(case: Case) -> Iterator[Verdict]:
    """Three states: off or missing, on and passing through, on and translating."""
    units = case.audit.iommu.units
    if units.value:
        yield _active(case)
    elif units.state in ("read", "absent"):
        yield _inactive(case)
    else:
        yield cannot(units, "Whether the IOMMU is on")


def _active(case: Case) -> Verdict:
    iommu, limits = case.audit.iommu, in_guest(case)
    name = _active_name(case)
    evidence = [seen(iommu.units, ", ".join(iommu.units.value or ()))]
    if not iommu.groups.value:
        return _active_of_no_known_mode(case, name)
    counts = iommu.groups.value
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    evidence.append(seen(iommu.groups, words))
    observed = f"{name} on, groups: {words}"
    translating = sum(count for kind, count in counts.items() if kind != "identity")
    rest = {"evidence": tuple(evidence), "limits": limits}
    if not translating:
        return good(f"{name} is on and lets the host's devices through unchanged", observed, **rest)
    if case.purpose == "vfio-host":
        return good(f"{name} is on and can keep GPUs for guests apart", observed, **rest)
    if case.purpose == "multi-gpu" or len(case.facts.gpus) > 1:
        return bad(
            f"{name} translates every address that a device uses, which stands between the GPUs",
            observed,
            "identity (passthrough), or off",
            remedy=kernel_option(case, "iommu=pt"),
            # A device that the kernel does not trust is translated even so.
            confidence="confirmed" if len(counts) == 1 else "likely",
            **rest,
        )
    return good(
        f"{name} is on and translates, which matters only between several GPUs",
        observed,
        weight="info",
        **rest,
    )


def _active_of_no_known_mode(case: Case, name: str) -> Verdict:
    iommu = case.audit.iommu
    told = [word for word in iommu.options.value or () if word in _UNCHANGED]
    if told:
        return good(
            f"{name} is on, and the kernel was told to let devices through unchanged ({told[0]})",
            f"{name} on, {told[0]}",
            evidence=(seen(iommu.units), Evidence(iommu.options.source, told[0])),
            confidence="likely",
            limits=in_guest(case),
        )
    if case.purpose != "multi-gpu":
        return good(f"{name} is on", f"{name} on", evidence=(seen(iommu.units),), limits=in_guest(case))
    doubt = f"{name} is on; whether it translates"
    if iommu.groups.state == "read":
        return unknown(doubt, "the kernel shows no groups of devices")
    return cannot(iommu.groups, doubt)


def _inactive(case: Case) -> Verdict:
    iommu, limits = case.audit.iommu, in_guest(case)
    wanted = case.purpose == "vfio-host"
    if iommu.tables.value:
        name = "AMD-Vi" if "IVRS" in iommu.tables.value else "VT-d"
        word = next((word for word in iommu.options.value or () if word in _OFF), "")
        cloud = name == "AMD-Vi" and "cloud" in case.facts.os.kernel
        because = (
            f"the kernel was told to leave it off ({word})"
            if word
            else "this cloud kernel has no driver for it"
            if cloud
            else "the kernel leaves it off"
        )
        summary = f"The firmware offers {name}, but {because}"
        evidence = [seen(iommu.tables, ", ".join(iommu.tables.value)), seen(iommu.units, "none active")]
        if word:
            evidence.append(Evidence(iommu.options.source, word))
        observed = f"table {', '.join(iommu.tables.value)}, no active unit"
        rest = {"evidence": tuple(evidence), "limits": limits}
        if not wanted:
            return good(summary, observed, weight="info", **rest)
        return bad(summary, observed, "an active IOMMU", remedy=_switch_on(case, name, word, cloud), **rest)
    if iommu.tables.state in ("read", "absent"):
        return _none_offered(case, wanted)
    if wanted:
        return cannot(iommu.tables, "No IOMMU is active; whether the firmware offers one")
    return good("No IOMMU is active", "no active unit", evidence=(seen(iommu.units, "none"),), limits=limits)


def _switch_on(case: Case, name: str, word: str, cloud: bool) -> Remedy:
    if word:
        return kernel_option(case, word, drop=True)
    if name == "VT-d":
        return kernel_option(case, "intel_iommu=on")
    if cloud:
        return by_hand(
            "Install the distribution's generic kernel (on Debian: linux-image-amd64).",
            "Start it, and remove the cloud kernel.",
            reboot=True,
        )
    return by_hand("See why the kernel gave up: `journalctl -k --grep AMD-Vi`.")


def _none_offered(case: Case, wanted: bool) -> Verdict:
    tables, limits = case.audit.iommu.tables, in_guest(case)
    if not x86(case):
        return unknown(
            "No IOMMU is active; whether the firmware offers one",
            f"its tables are not read on {case.facts.os.arch}",
            limits=limits,
        )
    name = "AMD-Vi" if _amd(case) else "VT-d"
    said = attributes.said(case, "amd-vi" if _amd(case) else "vt-d")
    evidence = (seen(tables, "no DMAR, no IVRS"), *((said.evidence,) if said else ()))
    if said and said.on is False:
        summary = f"{name} is switched off in the firmware"
        observed = f"{said.name}: {said.value}"
    elif case.virtual:
        summary = "This guest was given no IOMMU"
        observed = "no table of an IOMMU"
    else:
        summary = "The firmware offers no IOMMU: it is switched off there, or the machine has none"
        observed = "no table of an IOMMU"
    if not wanted:
        return good(summary, observed, weight="info", evidence=evidence, limits=limits)
    return bad(
        summary,
        observed,
        "an active IOMMU",
        evidence=evidence,
        limits=limits,
        remedy=in_firmware(case, "amd-vi" if _amd(case) else "vt-d", "on"),
    )


def _amd(case: Case) -> bool:
    vendor = case.audit.processor.vendor.value or case.facts.cpu.model
    return "amd" in vendor.casefold()


def _active_name(case: Case) -> str:
    units, tables = case.audit.iommu.units.value or (), case.audit.iommu.tables.value or ()
    if "DMAR" in tables or any(unit.startswith("dmar") for unit in units):
        return "VT-d"
    if "IVRS" in tables or any(unit.startswith("ivhd") for unit in units):
        return "AMD-Vi"
    return "The IOMMU"


@of_the_machine("Interrupt remapping")
def interrupt_remapping(case: Case) -> Iterator[Verdict]:
    """Whether interrupts of a device that a guest owns can be kept from the host."""
    iommu = case.audit.iommu
    if not iommu.tables.value and iommu.tables.state in ("read", "absent"):
        why = "this guest was given no IOMMU" if case.virtual else "the firmware offers no IOMMU"
        yield inapplicable("Interrupt remapping", why)
        return
    if iommu.interrupt_remapping.value is None:
        yield cannot(iommu.interrupt_remapping, "Interrupt remapping")
        return
    limits = "The table says what the firmware offers, not whether the kernel uses it."
    if case.virtual:
        limits = f"{limits} {in_guest(case)}"
    word = next((word for word in iommu.options.value or () if word in _NO_REMAPPING), "")
    offered = seen(iommu.interrupt_remapping, "yes" if iommu.interrupt_remapping.value else "no")
    if iommu.interrupt_remapping.value and not word:
        yield good("The IOMMU can remap interrupts", "offered", evidence=(offered,), limits=limits)
    elif word:
        yield bad(
            f"The kernel was told not to remap interrupts ({word})",
            word,
            "interrupts remapped",
            evidence=(offered, Evidence(iommu.options.source, word)),
            remedy=kernel_option(case, word, drop=True),
            limits=limits,
        )
    else:
        yield bad(
            "The firmware offers an IOMMU that cannot remap interrupts",
            "not offered",
            "interrupts remapped",
            evidence=(offered,),
            limits=limits,
            remedy=by_hand(
                "Look for Interrupt Remapping or X2APIC in the firmware's menus, and for a newer firmware.",
                actor="host" if case.virtual else "firmware",
                reboot=True,
            ),
        )


RULES = (
    Rule("iommu.mode", "firmware", mode, "info", {"multi-gpu": "warn", "vfio-host": "fail"}),
    Rule("iommu.interrupt-remapping", "firmware", interrupt_remapping, "info", {"vfio-host": "high"}),
)
