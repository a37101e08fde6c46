"""The IOMMU's three states, for each purpose."""

from __future__ import annotations

from typing import Any

import pytest

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
    hidden,
)

VTD: dict[str, Any] = {"tables": ("DMAR",), "units": ("dmar0", "dmar1"), "options": ()}
AMD: dict[str, Any] = {"tables": ("IVRS",), "units": ("ivhd0",), "options": ()}
NONE: dict[str, Any] = {"tables": (), "units": (), "options": ()}
IDENTITY = VTD | {"groups": {"identity": 17}, "options": ("iommu=pt",)}
TRANSLATING = VTD | {"groups": {"DMA-FQ": 17}}
UNUSED = VTD | {"units": ()}
GUEST = {"virtualization": "kvm"}
MODE, REMAPPING = "iommu.mode", "iommu.interrupt-remapping"

ROWS = (
    Row(
        "passes through", MODE, {"iommu": IDENTITY, "gpus": 2},
        "pass: VT-d is on and lets the host's devices through unchanged",
    ),
    Row(
        "passes through for guests", MODE, {"iommu": IDENTITY, "purpose": "vfio-host"},
        "pass: VT-d is on and lets the host's devices through unchanged",
    ),
    Row(
        "translates for one", MODE, {"iommu": TRANSLATING, "gpus": 1},
        "pass info: VT-d is on and translates, which matters only between several GPUs",
    ),
    Row(
        "translates for two", MODE, {"iommu": TRANSLATING, "gpus": 2},
        "warn warning: VT-d translates every address that a device uses, which stands between the GPUs",
        "kernel",
    ),
    Row(
        "translates where there are to be several", MODE, {"iommu": TRANSLATING, "purpose": "multi-gpu"},
        "warn warning: VT-d translates every address that a device uses, which stands between the GPUs",
        "kernel",
    ),
    Row(
        "translates for two in a guest", MODE, {"iommu": TRANSLATING, "gpus": 2, "sight": GUEST},
        "pass info: VT-d translates every address that a device uses, which stands between the GPUs",
        "kernel",
    ),
    Row(
        "translates some of two", MODE, {"iommu": AMD | {"groups": {"DMA": 1, "identity": 9}}, "gpus": 2},
        "warn warning likely: AMD-Vi translates every address that a device uses, "
        "which stands between the GPUs",
        "kernel",
    ),
    Row(
        "translates for guests", MODE, {"iommu": TRANSLATING, "purpose": "vfio-host"},
        "pass: VT-d is on and can keep GPUs for guests apart",
    ),
    Row(
        "mode not shown but told", MODE, {"iommu": AMD | {"options": ("iommu=pt",)}, "gpus": 2},
        "pass likely: AMD-Vi is on, and the kernel was told to let devices through unchanged (iommu=pt)",
    ),
    Row(
        "mode not shown to two", MODE, {"iommu": AMD | {"groups": hidden("no such folder")}, "gpus": 2},
        "unknown: AMD-Vi is on; whether it translates: no such folder",
    ),
    Row(
        "no groups for two", MODE, {"iommu": AMD | {"groups": {}}, "gpus": 2},
        "unknown: AMD-Vi is on; whether it translates: the kernel shows no groups of devices",
    ),
    Row("mode not shown to one", MODE, {"iommu": AMD, "gpus": 1}, "pass: AMD-Vi is on"),
    Row(
        "another kind of unit", MODE, {"iommu": {"units": ("smmu3.0",), "groups": {"identity": 3}}},
        "pass: The IOMMU is on and lets the host's devices through unchanged",
    ),
    Row(
        "left off", MODE, {"iommu": UNUSED, "gpus": 2},
        "pass info: The firmware offers VT-d, but the kernel leaves it off",
    ),
    Row(
        "told to leave it off", MODE, {"iommu": UNUSED | {"options": ("intel_iommu=off",)}, "gpus": 1},
        "pass info: The firmware offers VT-d, but the kernel was told to leave it off (intel_iommu=off)",
    ),
    Row(
        "left off on a host of guests", MODE, {"iommu": UNUSED, "purpose": "vfio-host"},
        "fail blocking: The firmware offers VT-d, but the kernel leaves it off",
        "kernel",
    ),
    Row(
        "a cloud kernel", MODE,
        {"iommu": AMD | {"units": ()}, "os": {"kernel": "6.1.0-18-cloud-amd64"}, "purpose": "vfio-host"},
        "fail blocking: The firmware offers AMD-Vi, but this cloud kernel has no driver for it",
        "system",
    ),
    Row(
        "a cloud kernel knows VT-d", MODE,
        {"iommu": UNUSED, "os": {"kernel": "6.1.0-18-cloud-amd64"}, "purpose": "vfio-host"},
        "fail blocking: The firmware offers VT-d, but the kernel leaves it off",
        "kernel",
    ),
    Row(
        "known by its units alone", MODE,
        {"iommu": {"units": ("dmar0",), "groups": {"identity": 3}, "tables": hidden()}},
        "pass: VT-d is on and lets the host's devices through unchanged",
    ),
    Row(
        "AMD known by its units alone", MODE,
        {"iommu": {"units": ("ivhd0",), "groups": {"identity": 3}, "tables": hidden()}},
        "pass: AMD-Vi is on and lets the host's devices through unchanged",
    ),
    Row(
        "known by its table alone", MODE,
        {"iommu": {"units": ("iommu0",), "groups": {"identity": 3}, "tables": ("DMAR",)}},
        "pass: VT-d is on and lets the host's devices through unchanged",
    ),
    Row(
        "AMD known by its table alone", MODE,
        {"iommu": {"units": ("iommu0",), "groups": {"identity": 3}, "tables": ("IVRS",)}},
        "pass: AMD-Vi is on and lets the host's devices through unchanged",
    ),
    Row(
        "the firmware says on, and offers none", MODE,
        {"iommu": NONE, "firmware": {"settings": {"VTdFeature": "Enable"}}},
        "pass info: The firmware offers no IOMMU: it is switched off there, or the machine has none",
    ),
    Row(
        "AMD gave up", MODE, {"iommu": AMD | {"units": ()}, "purpose": "vfio-host"},
        "fail blocking: The firmware offers AMD-Vi, but the kernel leaves it off",
        "system",
    ),
    Row(
        "none offered", MODE, {"iommu": NONE, "gpus": 2},
        "pass info: The firmware offers no IOMMU: it is switched off there, or the machine has none",
    ),
    Row(
        "none offered to a host of guests", MODE,
        {"iommu": NONE | {"tables": absent()}, "purpose": "vfio-host"},
        "fail blocking: The firmware offers no IOMMU: it is switched off there, or the machine has none",
        "firmware",
    ),
    Row(
        "none offered to a guest that is to be one", MODE,
        {"iommu": NONE, "purpose": "vfio-host", "sight": GUEST},
        "fail blocking: This guest was given no IOMMU",
        "host",
    ),
    Row(
        "the firmware itself says off", MODE,
        {
            "iommu": NONE, "purpose": "vfio-host",
            "firmware": {"settings": {"thinklmi/VTdFeature": "Disable"}},
        },
        "fail blocking: VT-d is switched off in the firmware",
        "firmware",
    ),
    Row(
        "AMD's firmware says off", MODE,
        {
            "iommu": NONE, "purpose": "vfio-host", "processor": {"vendor": "AuthenticAMD"},
            "firmware": {"settings": {"IOMMU": "Disabled", "VTdFeature": "Enabled"}},
        },
        "fail blocking: AMD-Vi is switched off in the firmware",
        "firmware",
    ),
    Row(
        "off on Arm", MODE, {"iommu": NONE, "os": {"arch": "aarch64"}},
        "unknown: No IOMMU is active; whether the firmware offers one: its tables are not read on aarch64",
    ),
    Row("off, tables hidden", MODE, {"iommu": {"units": ()}, "gpus": 2}, "pass: No IOMMU is active"),
    Row(
        "off, tables hidden from a host of guests", MODE,
        {"iommu": {"units": (), "tables": hidden("permission denied")}, "purpose": "vfio-host"},
        "unknown: No IOMMU is active; whether the firmware offers one: permission denied",
    ),
    Row(
        "nothing shown", MODE, {"iommu": {"units": hidden("permission denied")}},
        "unknown: Whether the IOMMU is on: permission denied",
    ),
    Row(
        "senseless", MODE, {"iommu": {"units": broken("a name of 4 GB")}},
        "error: Whether the IOMMU is on: a name of 4 GB",
    ),
    Row(
        "offered", REMAPPING, {"iommu": IDENTITY | {"interrupt_remapping": True}, "purpose": "vfio-host"},
        "pass: The IOMMU can remap interrupts",
    ),
    Row(
        "not offered", REMAPPING, {"iommu": IDENTITY | {"interrupt_remapping": False}},
        "pass info: The firmware offers an IOMMU that cannot remap interrupts",
        "firmware",
    ),
    Row(
        "not offered to guests", REMAPPING,
        {"iommu": IDENTITY | {"interrupt_remapping": False}, "purpose": "vfio-host"},
        "warn high: The firmware offers an IOMMU that cannot remap interrupts",
        "firmware",
    ),
    Row(
        "switched off for guests", REMAPPING,
        {
            "iommu": IDENTITY | {"interrupt_remapping": True, "options": ("nointremap",)},
            "purpose": "vfio-host",
        },
        "warn high: The kernel was told not to remap interrupts (nointremap)",
        "kernel",
    ),
    Row(
        "no table", REMAPPING, {"iommu": NONE},
        "not_applicable: Interrupt remapping: the firmware offers no IOMMU",
    ),
    Row(
        "tables hidden", REMAPPING, {"iommu": {"tables": hidden(), "interrupt_remapping": hidden()}},
        "unknown: Interrupt remapping: only root may read it",
    ),
    Row(
        "table not readable", REMAPPING, {"iommu": VTD | {"interrupt_remapping": hidden()}},
        "unknown: Interrupt remapping: only root may read it",
    ),
    Row(
        "half a table", REMAPPING, {"iommu": VTD | {"interrupt_remapping": broken("36 of 48 bytes")}},
        "error: Interrupt remapping: 36 of 48 bytes",
    ),
)  # fmt: skip


HOST = {"purpose": "vfio-host"}
OFFERED = "The table says what the firmware offers, not whether the kernel uses it."
SEES = "A guest sees what its hypervisor emulates"
DETAILS = (
    Detail(
        MODE, {"iommu": UNUSED | {"options": ("quiet", "intel_iommu=off")}} | HOST,
        "table DMAR, no active unit", ("DMAR", "none active", "intel_iommu=off"),
        step="take `intel_iommu=off` out of",
    ),
    Detail(
        MODE, {"iommu": UNUSED} | HOST,
        "table DMAR, no active unit", ("DMAR", "none active"), step="add `intel_iommu=on`",
    ),
    Detail(
        MODE, {"iommu": AMD | {"units": ()}, "os": {"kernel": "6.1.0-18-cloud-amd64"}} | HOST,
        "table IVRS, no active unit", ("IVRS", "none active"), step="linux-image-amd64",
    ),
    Detail(
        MODE, {"iommu": AMD | {"units": ()}} | HOST,
        "table IVRS, no active unit", ("IVRS", "none active"), step="journalctl -k --grep AMD-Vi",
    ),
    Detail(
        MODE, {"iommu": NONE, "processor": {"vendor": "AuthenticAMD"}} | HOST,
        "no table of an IOMMU", ("no DMAR, no IVRS",), step="AMD IOMMU on",
    ),
    Detail(
        MODE, {"iommu": NONE, "processor": {"vendor": "GenuineIntel"}} | HOST,
        "no table of an IOMMU", ("no DMAR, no IVRS",), step="VT-d on",
    ),
    Detail(
        REMAPPING, {"iommu": IDENTITY | {"interrupt_remapping": True}}, "offered", ("yes",), OFFERED,
    ),
    Detail(
        REMAPPING, {"iommu": IDENTITY | {"interrupt_remapping": False}, "sight": GUEST},
        "not offered", ("no",), SEES, "Interrupt Remapping",
    ),
    Detail(
        REMAPPING, {"iommu": IDENTITY | {"interrupt_remapping": True, "options": ("intremap=off",)}},
        "intremap=off", ("yes", "intremap=off"), OFFERED, "take `intremap=off` out of",
    ),
)  # fmt: skip


@pytest.mark.parametrize("detail", DETAILS, ids=str)
def test_detail(detail: Detail) -> None:
    check_detail(detail)


def test_only_in_a_guest_there_is_talk_of_guests() -> None:
    seen = IDENTITY | {"interrupt_remapping": True}
    (found,) = ask(REMAPPING, case(iommu=seen))
    assert SEES not in found.limits
    (found,) = ask(REMAPPING, case(iommu=IDENTITY | {"interrupt_remapping": False}, sight=GUEST))
    assert found.remedy is not None
    assert found.remedy.actor == "host"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_a_finding_says_what_was_seen_where() -> None:
    (found,) = ask(MODE, case(iommu=TRANSLATING, gpus=2, firmware={"loader": "grub"}))
    assert (found.observed, found.expected) == (
        "VT-d on, groups: 17 DMA-FQ",
        "identity (passthrough), or off",
    )
    assert [one.value for one in found.evidence] == ["dmar0, dmar1", "17 DMA-FQ"]
    assert found.remedy is not None
    assert found.remedy.reboot
    assert any("iommu=pt" in step for step in found.remedy.steps)


def test_an_option_that_leaves_it_off_is_taken_away() -> None:
    (found,) = ask(MODE, case(iommu=UNUSED | {"options": ("iommu=off",)}, purpose="vfio-host"))
    assert found.remedy is not None
    assert "take `iommu=off` out of" in " ".join(found.remedy.steps)


def test_a_guest_is_told_how_far_it_sees() -> None:
    (found,) = ask(MODE, case(iommu=IDENTITY, sight=GUEST))
    assert found.limits == "A guest sees what its hypervisor emulates, not the machine below it."


def test_what_the_firmware_says_is_evidence() -> None:
    seen = {"settings": {"VTdFeature": "Disable", "Other": "Enable"}}
    (found,) = ask(MODE, case(iommu=NONE, firmware=seen))
    assert [(one.source, one.value) for one in found.evidence] == [
        ("/emulated", "no DMAR, no IVRS"),
        ("/emulated/VTdFeature", "Disable"),
    ]


@pytest.mark.parametrize("os", [{"container": "docker"}, {"wsl": True}])
def test_in_a_container_and_in_wsl_there_is_no_verdict(os: dict[str, Any]) -> None:
    for identity in (MODE, REMAPPING):
        (found,) = ask(identity, case(whole=contained(), os=os))
        assert (found.status, found.severity) == ("not_applicable", "none")
        # Whatever was read there is another machine's.
        (found,) = ask(identity, case(iommu=TRANSLATING, os=os, purpose="multi-gpu"))
        assert found.status == "not_applicable"
