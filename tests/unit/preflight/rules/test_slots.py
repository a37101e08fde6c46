"""Addresses above 4 GiB and Resizable BAR, of emulated cards."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import Bar, Resizable, Window
from provisioner.facts import Gpu
from tests.unit.preflight.cases import (
    GIB,
    Detail,
    Row,
    absent,
    ask,
    broken,
    case,
    check,
    check_detail,
    contained,
    device,
    hidden,
)

ABOVE, REBAR = "pci.above-4g", "pci.rebar"
MIB = 1 << 20
GUEST = {"virtualization": "kvm"}
SIZES = tuple(256 * MIB << step for step in range(8))
# An RTX 4090: its memory is behind BAR 1.
LOW = Bar(1, 64, True, True, 0xC0000000, 256 * MIB)
HIGH = Bar(1, 64, True, True, 0x6000000000, 32 * GIB)
HOMELESS = Bar(1, 64, True, False, None, None)
CONTROL = Bar(0, 32, False, True, 0xDE000000, 16 * MIB)
SMALL = device(bars=(CONTROL, LOW), resizable=(Resizable(1, SIZES, 256 * MIB),))
WHOLE = device(bars=(CONTROL, HIGH), resizable=(Resizable(1, SIZES, 32 * GIB),))
WIDE = (Window(0x4000000000, 0x7FFFFFFFFF),)
NVME = {"address": "0000:02:00.0", "vendor": "0x144d", "device": "0xa80a", "kind": "0x010802"}
OLD = device(device="0x1e04", bars=(CONTROL, LOW), resizable=absent())
H100 = {"device": "0x2330", "kind": "0x030200"}
SUBJECT = "pci:0000:01:00.0"
PART = "Resizable BAR is off for the RTX 4090: 256 MiB of 32 GiB of its memory can be mapped at once"
NARROW = "pci 0000:01:00.0: 31.504 Gb/s available PCIe bandwidth, limited by 8.0 GT/s PCIe x4 link"
COMPLAINT = "pci 0000:01:00.0: BAR 1 [mem size 0x10000000 64bit pref]: failed to assign"


def slots(*devices: Any, windows: Any = WIDE, **said: Any) -> dict[str, Any]:
    return {"devices": devices, "windows": windows, **said}


ROWS = (
    Row(
        "a window", ABOVE, {"slots": slots(WHOLE), "gpus": 1}, "pass: Devices get addresses above 4 GiB",
    ),
    Row(
        "no window to be seen, but an address", ABOVE, {"slots": slots(WHOLE, windows=hidden()), "gpus": 1},
        "pass: Devices get addresses above 4 GiB",
    ),
    Row("a window and no GPU", ABOVE, {"slots": slots()}, "pass: There is room for devices above 4 GiB"),
    Row(
        "no window and no GPU", ABOVE, {"slots": slots(device(**NVME), windows=())},
        "not_applicable: Addresses above 4 GiB: no GPU is here that would need them",
    ),
    Row(
        "a GPU without an address", ABOVE,
        {"slots": slots(device(bars=(CONTROL, HOMELESS)), complaints=(COMPLAINT,)), "gpus": 1},
        f"fail blocking {SUBJECT}: BAR 1 of the RTX 4090 got no address: no driver can use it like this",
        "firmware",
    ),
    Row(
        "two BARs without an address", ABOVE,
        {
            "slots": slots(device(bars=(HOMELESS, Bar(3, 64, True, False)))), "gpus": 1,
            "purpose": "multi-gpu",
        },
        f"fail blocking {SUBJECT}: BAR 1, BAR 3 of the RTX 4090 got no address: "
        "no driver can use it like this",
        "firmware",
    ),
    Row(
        "a card in a guest without an address", ABOVE,
        {"slots": slots(device(bars=(HOMELESS,))), "gpus": 1, "sight": GUEST},
        f"fail blocking {SUBJECT}: BAR 1 of the RTX 4090 got no address: no driver can use it like this",
        "host",
    ),
    Row(
        "an accelerator of another maker", ABOVE,
        {"slots": slots(device(vendor="0x1002", kind="0x120000", bars=(HOMELESS,)))},
        f"fail blocking {SUBJECT}: BAR 1 of the display at 0000:01:00.0 got no address: "
        "no driver can use it like this",
        "firmware",
    ),
    Row(
        "another device without an address", ABOVE,
        {"slots": slots(WHOLE, device(**NVME, bars=(HOMELESS,))), "gpus": 1},
        "warn warning pci:0000:02:00.0: BAR 1 of the device at 0000:02:00.0 got no address: "
        "its driver may not work",
        "firmware",
    ),
    Row(
        "32 bits without an address", ABOVE,
        {"slots": slots(device(bars=(Bar(0, 32, False, False), HIGH))), "gpus": 1},
        "pass: Devices get addresses above 4 GiB",
    ),
    Row(
        "no window for a large card", ABOVE, {"slots": slots(SMALL, windows=()), "gpus": 1},
        "warn warning likely: No room for devices above 4 GiB, and the RTX 4090 could map 32 GiB",
        "firmware",
    ),
    Row(
        "the firmware itself says off", ABOVE,
        {
            "slots": slots(SMALL, windows=hidden()), "gpus": 1,
            "firmware": {"settings": {"MmioAbove4Gb": "Disabled"}},
        },
        "warn warning likely: No room for devices above 4 GiB, and the RTX 4090 could map 32 GiB",
        "firmware",
    ),
    Row(
        "no window, and a card that maps little", ABOVE, {"slots": slots(OLD, windows=()), "gpus": 1},
        "pass: Nothing has an address above 4 GiB, and no device here needs one",
    ),
    Row(
        "too small a window", ABOVE,
        {"slots": slots(SMALL, windows=(Window(0x100000000, 0x2FFFFFFFF),)), "gpus": 1},
        "pass info likely: The room above 4 GiB is smaller than what the RTX 4090 could map: "
        "a window of 8 GiB for 32 GiB",
        "firmware",
    ),
    Row(
        "too small a window for two", ABOVE,
        {
            "slots": slots(
                device("0000:02:00.0", bars=(LOW,), resizable=(Resizable(1, SIZES, 256 * MIB),)),
                windows=(Window(0x100000000, 0x2FFFFFFFF), Window(0x300000000, 0x3FFFFFFFF)),
            ),
            "gpus": 2,
        },
        "warn warning likely: The room above 4 GiB is smaller than what the RTX 4090 could map: "
        "a window of 8 GiB for 32 GiB",
        "firmware",
    ),
    Row(
        "the log complains", ABOVE, {"slots": slots(WHOLE, complaints=(COMPLAINT,)), "gpus": 1},
        "pass info heuristic: There is room above 4 GiB, but the kernel complained about the GPU's addresses "
        "as it started",
    ),
    Row(
        "the log complains of another", ABOVE,
        {"slots": slots(WHOLE, complaints=("pci 0000:07:00.0: BAR 0: failed to assign",)), "gpus": 1},
        "pass: Devices get addresses above 4 GiB",
    ),
    Row(
        "the log tells of the link", ABOVE, {"slots": slots(WHOLE, complaints=(NARROW,)), "gpus": 1},
        "pass: Devices get addresses above 4 GiB",
    ),
    Row(
        # A device tree names its windows otherwise: that none is called so says nothing of them.
        "no list that names the bus", ABOVE,
        {"slots": slots(SMALL, windows=absent("it names no window of a PCI bus")), "gpus": 1},
        "unknown: Addresses above 4 GiB: it names no window of a PCI bus",
    ),
    Row(
        "sizes hidden, and a model that is known", ABOVE,
        {"slots": slots(device(bars=(CONTROL, LOW), resizable=hidden()), windows=()), "gpus": 1},
        "warn warning likely: No room for devices above 4 GiB, and the RTX 4090 could map 32 GiB",
        "firmware",
    ),
    Row(
        "windows hidden", ABOVE, {"slots": slots(SMALL, windows=hidden("all addresses are zero")), "gpus": 1},
        "unknown: Addresses above 4 GiB: all addresses are zero",
    ),
    Row(
        "just enough", ABOVE,
        {"slots": slots(SMALL, windows=(Window(0x800000000, 0xFFFFFFFFF),)), "gpus": 1},
        "pass: Devices get addresses above 4 GiB",
    ),
    Row(
        "the largest of two cards", ABOVE,
        {
            "slots": slots(
                device(resizable=(Resizable(1, SIZES),)),
                device("0000:02:00.0", vendor="0x1002", resizable=(Resizable(0, SIZES[:3]),)), windows=(),
            ),
            "gpus": 1,
        },
        "warn warning likely: No room for devices above 4 GiB, and the RTX 4090 could map 32 GiB",
    ),
    Row(
        "the firmware says on, and the window is hidden", ABOVE,
        {
            "slots": slots(SMALL, windows=hidden("refused")), "gpus": 1,
            "firmware": {"settings": {"MmioAbove4Gb": "Enabled"}},
        },
        "unknown: Addresses above 4 GiB: refused",
    ),
    Row(
        "a fixed BAR below", ABOVE,
        {
            "slots": slots(
                device(bars=(Bar(1, 64, True, True, 0x80000000, GIB),), resizable=absent()), windows=()
            )
        },
        "pass info likely: No room for devices above 4 GiB, "
        "and the display at 0000:01:00.0 could map 1 GiB",
    ),
    Row(
        "a GPU that no bus shows", ABOVE, {"slots": slots(windows=()), "gpus": 1},
        "pass: Nothing has an address above 4 GiB, and no device here needs one",
    ),
    Row(
        "no bus at all", ABOVE, {"slots": {"devices": absent(), "windows": ()}},
        "not_applicable: Addresses above 4 GiB: no GPU is here that would need them",
    ),
    Row(
        "no bus to be seen", ABOVE, {"slots": {"devices": hidden("refused"), "windows": ()}},
        "unknown: Addresses above 4 GiB: refused",
    ),
    Row(
        "senseless windows", ABOVE, {"slots": slots(SMALL, windows=broken("line 3 is no range")), "gpus": 1},
        "error: Addresses above 4 GiB: line 3 is no range",
    ),
    Row(
        "whole", REBAR, {"slots": slots(WHOLE), "gpus": 1},
        f"pass {SUBJECT}: All of the memory of the RTX 4090 can be mapped at once",
    ),
    Row(
        "off for one", REBAR, {"slots": slots(SMALL), "gpus": 1},
        f"pass info {SUBJECT}: {PART}",
        "firmware",
    ),
    Row(
        "off for one of two", REBAR,
        {
            "slots": slots(SMALL, device("0000:02:00.0", bars=(HIGH,), resizable=hidden())), "gpus": 2,
        },
        (
            f"warn warning {SUBJECT}: {PART}",
            "pass pci:0000:02:00.0: All of the memory of the RTX 4090 can be mapped at once",
        ),
    ),
    Row(
        "half way", REBAR,
        {"slots": slots(device(resizable=(Resizable(1, (*SIZES, 64 * GIB), 16 * GIB),))), "gpus": 1},
        f"pass info {SUBJECT}: Resizable BAR is off for the RTX 4090: "
        "16 GiB of 32 GiB of its memory can be mapped at once",
        "firmware",
    ),
    Row(
        "what the card offers hidden", REBAR,
        {"slots": slots(device(bars=(LOW,), resizable=hidden())), "gpus": 2},
        (
            f"warn warning likely {SUBJECT}: {PART}",
            "unknown pci:0000:02:00.0: Resizable BAR: the PCI bus does not show it",
        ),
    ),
    Row(
        "an older card", REBAR, {"slots": slots(OLD), "gpus": [Gpu("0000:01:00.0", "0x10de", "0x1e04")]},
        f"pass info {SUBJECT}: The RTX 2080 Ti maps 256 MiB of its memory at a time, and offers no more",
    ),
    Row(
        "a datacentre card", REBAR,
        {
            ""
            "slots": slots(
                device(**H100, bars=(Bar(1, 64, True, True, 1 << 40, 128 * GIB),), resizable=absent())
            ),
            "gpus": [Gpu("0000:01:00.0", "0x10de", "0x2330", "NVIDIA H100 80GB HBM3")],
        },
        f"pass {SUBJECT}: All of the memory of the H100 80GB HBM3 can be mapped at once",
    ),
    Row(
        "a card that nobody knows", REBAR,
        {
            "slots": slots(device(bars=(LOW,), resizable=absent())),
            "gpus": [Gpu("0000:01:00.0", "0x10de", "0xffff")],
        },
        f"pass info {SUBJECT}: The GPU maps 256 MiB of its memory at a time, and offers no more",
    ),
    Row(
        "what a card offers hidden that nobody knows", REBAR,
        {
            "slots": slots(device(bars=(LOW,), resizable=hidden())),
            "gpus": [Gpu("0000:01:00.0", "0x10de", "0xffff")],
        },
        f"pass info likely {SUBJECT}: Resizable BAR is off for the GPU: "
        "256 MiB of its memory can be mapped at once",
        "firmware",
    ),
    Row(
        "less than the memory, and its most", REBAR,
        {"slots": slots(device(resizable=(Resizable(1, (256 * MIB,), 256 * MIB),))), "gpus": 1},
        f"pass {SUBJECT}: All of the memory of the RTX 4090 can be mapped at once",
    ),
    Row(
        "a card whose memory nobody knows", REBAR,
        {
            "slots": slots(device(resizable=(Resizable(1, SIZES, 256 * MIB),))),
            "gpus": [Gpu("0000:01:00.0", "0x10de", "0xffff")],
        },
        f"pass info {SUBJECT}: Resizable BAR is off for the GPU: "
        "256 MiB of 32 GiB of its memory can be mapped at once",
        "firmware",
    ),
    Row(
        "its BAR has no address", REBAR,
        {"slots": slots(device(bars=(HOMELESS,), resizable=absent())), "gpus": 1},
        f"unknown {SUBJECT}: How much the RTX 4090 maps of its memory: the BAR that maps it has no address",
    ),
    Row(
        "nothing readable", REBAR,
        {"slots": slots(device(bars=hidden("refused"), resizable=hidden())), "gpus": 1},
        f"unknown {SUBJECT}: How much the RTX 4090 maps of its memory: refused",
    ),
    Row(
        "senseless", REBAR,
        {"slots": slots(device(bars=broken("line 3"), resizable=broken("a loop"))), "gpus": 1},
        f"error {SUBJECT}: How much the RTX 4090 maps of its memory: line 3",
    ),
    Row(
        "no bus to be seen", REBAR, {"slots": {"devices": hidden("refused")}, "gpus": 1},
        f"unknown {SUBJECT}: Resizable BAR: refused",
    ),
    Row("no GPU", REBAR, {"slots": slots()}, "not_applicable: Resizable BAR: there is no NVIDIA GPU here"),
)  # fmt: skip


OFF = {"firmware": {"settings": {"MmioAbove4Gb": "Disabled"}}}
DETAILS = (
    Detail(
        ABOVE, {"slots": slots(WHOLE, windows=hidden()), "gpus": 1},
        "BAR 1 of 0000:01:00.0 at 0x6000000000", ("BAR 1 of 0000:01:00.0 at 0x6000000000",),
    ),
    Detail(
        ABOVE, {"slots": slots(SMALL, windows=()), "gpus": 1},
        "no window above 4 GiB", ("none above 4 GiB",), step="Above 4G Decoding on",
    ),
    Detail(
        ABOVE, {"slots": slots(SMALL, windows=hidden()), "gpus": 1} | OFF,
        "no window above 4 GiB", ("Disabled",), step="Above 4G Decoding on",
    ),
    Detail(
        ABOVE, {"slots": slots(WHOLE, complaints=(COMPLAINT,)), "gpus": 1} | OFF,
        "a window of 256 GiB", ("Disabled", "a window of 256 GiB", COMPLAINT), "every BAR has its address",
    ),
    Detail(
        REBAR,
        {"slots": slots(SMALL), "gpus": 1, "firmware": {"settings": {"ReSizeBARSupport": "Disabled"}}},
        "256 MiB", ("256 MiB now", "Disabled"), step="Resizable BAR on",
    ),
    Detail(
        REBAR, {"slots": slots(device(bars=(LOW,), resizable=hidden())), "gpus": 1},
        "256 MiB", ("256 MiB now",), "only root may read", "Resizable BAR on",
    ),
    Detail(REBAR, {"slots": slots(WHOLE), "gpus": 1}, "32 GiB", ("32 GiB now",)),
)  # fmt: skip


@pytest.mark.parametrize("detail", DETAILS, ids=str)
def test_detail(detail: Detail) -> None:
    check_detail(detail)


def test_a_window_is_wanted_for_the_whole_memory() -> None:
    (found,) = ask(REBAR, case(slots=slots(SMALL), gpus=1))
    assert found.expected == "32 GiB"
    unknown = [Gpu("0000:01:00.0", "0x10de", "0xffff")]
    (found,) = ask(REBAR, case(slots=slots(device(bars=(LOW,), resizable=hidden())), gpus=unknown))
    assert found.expected == "more"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_what_the_log_said_of_a_device_is_evidence() -> None:
    other = "pci 0000:07:00.0: BAR 0: failed to assign"
    seen = slots(device(bars=(HOMELESS,)), complaints=(other, COMPLAINT))
    (found,) = ask(ABOVE, case(slots=seen, gpus=1))
    assert [one.value for one in found.evidence] == ["BAR 1: 64 bits wide, no address", COMPLAINT]


def test_the_steps_come_in_their_order() -> None:
    """CSM off, then Above 4G, then Resizable BAR."""
    (found,) = ask(REBAR, case(slots=slots(SMALL), gpus=1))
    assert found.remedy is not None
    steps = " ".join(found.remedy.steps)
    assert steps.index("CSM off") < steps.index("Above 4G Decoding on") < steps.index("Resizable BAR on")


@pytest.mark.parametrize("os", [{"container": "docker"}, {"wsl": True}])
@pytest.mark.parametrize("rule", [ABOVE, REBAR])
def test_in_a_container_and_in_wsl_there_is_no_verdict(rule: str, os: dict[str, Any]) -> None:
    for seen in (
        case(whole=contained(), os=os, gpus=1),
        case(slots=slots(device(bars=(HOMELESS,))), os=os, gpus=1, purpose="bare-metal"),
    ):
        (found,) = ask(rule, seen)
        assert (found.status, found.remedy) == ("not_applicable", None)
