"""Virtualization in silicon and in the kernel, threads, idle states, frequency."""

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
    elsewhere,
    hidden,
)

VIRTUAL, SMT, IDLE, GOVERNOR = "cpu.virtualization", "cpu.smt", "cpu.idle-states", "cpu.governor"
GUEST = {"virtualization": "kvm"}
INTEL: dict[str, Any] = {"extension": "vmx", "kernel_extension": True, "locked_off": False}
HIDDEN_FLAG = INTEL | {"kernel_extension": False, "locked_off": hidden()}
OFF = HIDDEN_FLAG | {"locked_off": True}
DEEP = {"idle_driver": "intel_idle", "idle_states": ("POLL", "C1E", "C6")}

ROWS = (
    Row("on", VIRTUAL, {"processor": INTEL}, "pass: VT-x is there and switched on"),
    Row(
        "on, silicon not asked", VIRTUAL, {"processor": {"kernel_extension": True}},
        "pass: Hardware virtualization is there and switched on",
    ),
    Row(
        "off in the firmware", VIRTUAL, {"processor": OFF},
        "pass info: VT-x is in the processor, and switched off in the firmware", "firmware",
    ),
    Row(
        "off on a host of guests", VIRTUAL,
        {"processor": OFF | {"extension": "svm"}, "purpose": "vfio-host"},
        "fail blocking: AMD-V is in the processor, and switched off in the firmware", "firmware",
    ),
    Row(
        "most likely off", VIRTUAL, {"processor": HIDDEN_FLAG},
        "pass info likely: VT-x is in the processor, and the kernel does not show it: "
        "most likely it is switched off in the firmware", "firmware",
    ),
    Row(
        "most likely off on a host of guests", VIRTUAL, {"processor": HIDDEN_FLAG, "purpose": "vfio-host"},
        "fail blocking likely: VT-x is in the processor, and the kernel does not show it: "
        "most likely it is switched off in the firmware", "firmware",
    ),
    Row(
        "the firmware itself says off", VIRTUAL,
        {
            "processor": HIDDEN_FLAG,
            "firmware": {"settings": {"Virtualization Technology (VTx)": "Disable"}},
        },
        "pass info: VT-x is in the processor, and switched off in the firmware", "firmware",
    ),
    Row(
        "on in the firmware, not in the kernel", VIRTUAL, {"processor": INTEL | {"kernel_extension": False}},
        "pass info likely: VT-x is in the processor and on in the firmware, but the kernel does not use it",
        "kernel",
    ),
    Row(
        "the firmware says on", VIRTUAL,
        {"processor": HIDDEN_FLAG, "firmware": {"settings": {"VirtualizationTechnology": "Enable"}}},
        "pass info likely: VT-x is in the processor, and the kernel does not show it: "
        "most likely it is switched off in the firmware", "firmware",
    ),
    Row(
        "none in silicon", VIRTUAL, {"processor": {"extension": "", "kernel_extension": False}},
        "pass info: This processor has no hardware virtualization", "owner",
    ),
    Row(
        "none in silicon of a host of guests", VIRTUAL,
        {"processor": {"extension": "", "kernel_extension": False}, "purpose": "vfio-host"},
        "fail blocking: This processor has no hardware virtualization", "owner",
    ),
    Row(
        "no flag, silicon not asked", VIRTUAL,
        {"processor": {"extension": hidden("a recorded tree does not tell"), "kernel_extension": False}},
        "unknown: Hardware virtualization: a recorded tree does not tell",
    ),
    Row(
        "no flags shown", VIRTUAL, {"processor": INTEL | {"kernel_extension": hidden("no flags")}},
        "unknown: Hardware virtualization: no flags",
    ),
    Row(
        "in a guest", VIRTUAL, {"processor": OFF, "sight": GUEST},
        "not_applicable: Hardware virtualization: this is a guest: only its hypervisor decides that",
    ),
    Row(
        "on Arm", VIRTUAL, {"os": {"arch": "aarch64"}, "processor": {"extension": elsewhere()}},
        "not_applicable: Hardware virtualization: no setting on processors of this kind",
    ),
    Row(
        "in a container", VIRTUAL, {"processor": OFF, "os": {"container": "docker"}},
        "not_applicable: Hardware virtualization: not seen from inside a container: "
        "run this on the machine that runs it",
    ),
    Row(
        "in WSL", VIRTUAL, {"processor": OFF, "os": {"wsl": True}},
        "not_applicable: Hardware virtualization: WSL shows nothing of the machine's firmware and slots: "
        "look on the Windows side (msinfo32)",
    ),
    Row(
        "two threads", SMT, {"processor": {"smt": "on", "smt_active": True}},
        "pass: Each core runs two threads",
    ),
    Row(
        "switched off", SMT, {"processor": {"smt": "off", "smt_active": False}},
        "pass info: Each core runs one thread: the second is switched off in the running system",
    ),
    Row(
        "forced off", SMT, {"processor": {"smt": "forceoff", "smt_active": False}},
        "pass info: Each core runs one thread: the second is switched off by the kernel's command line",
    ),
    Row(
        "off in the firmware", SMT,
        {
            "processor": {"smt": "notsupported", "smt_active": False},
            "firmware": {"settings": {"HyperThreadingTechnology": "Disabled"}},
        },
        "pass info: Each core runs one thread: the second is switched off in the firmware",
    ),
    Row(
        "a container's host's firmware is not asked", SMT,
        {
            "processor": {"smt": "notsupported", "smt_active": False}, "os": {"container": "docker"},
            "firmware": {"settings": {"HyperThreadingTechnology": "Disabled"}},
        },
        "pass: Each core runs one thread",
    ),
    Row(
        "one thread", SMT, {"processor": {"smt": "notsupported", "smt_active": False}},
        "pass: Each core runs one thread",
    ),
    Row(
        "one thread, the firmware says on", SMT,
        {
            "processor": {"smt_active": False},
            "firmware": {"settings": {"HyperThreadingTechnology": "Enabled"}},
        },
        "pass: Each core runs one thread",
    ),
    Row(
        "one thread, by its word", SMT, {"processor": {"smt": "notsupported"}},
        "pass: Each core runs one thread",
    ),
    Row(
        "not shown", SMT, {"processor": {"smt": absent("this kernel knows no SMT")}},
        "unknown: How many threads a core runs: this kernel knows no SMT",
    ),
    Row(
        "senseless", SMT, {"processor": {"smt": "on", "smt_active": broken("'2' is neither 0 nor 1")}},
        "error: How many threads a core runs: '2' is neither 0 nor 1",
    ),
    Row("deep", IDLE, {"processor": DEEP}, "pass: The processor sleeps when idle"),
    Row(
        "shallow", IDLE, {"processor": DEEP | {"idle_states": ("POLL", "C1")}},
        "pass info: Only shallow idle states are in use: "
        "the processor wakes at once, and draws more when idle",
    ),
    Row(
        "none", IDLE, {"processor": {"idle_driver": "none", "idle_states": absent()}},
        "pass info: The kernel manages no idle states: the processor stays awake, and warm",
    ),
    Row(
        "no such folder", IDLE, {"processor": {"idle_driver": absent(), "idle_states": absent()}},
        "pass info: The kernel manages no idle states: the processor stays awake, and warm",
    ),
    Row(
        "of a guest", IDLE, {"processor": {"idle_driver": absent()}, "sight": GUEST},
        "not_applicable: Idle states: this is a guest: its hypervisor puts the processor to sleep",
    ),
    Row(
        "of a guest without a driver", IDLE, {"processor": {"idle_driver": "none"}, "sight": GUEST},
        "not_applicable: Idle states: this is a guest: its hypervisor puts the processor to sleep",
    ),
    Row(
        "all that are shallow", IDLE,
        {"processor": DEEP | {"idle_states": ("POLL", "C1", "C1E", "C1_ACPI")}},
        "pass info: Only shallow idle states are in use: "
        "the processor wakes at once, and draws more when idle",
    ),
    Row(
        "of a guest with states of no driver", IDLE,
        {"processor": {"idle_driver": hidden(), "idle_states": ("C1", "C6")}, "sight": GUEST},
        "pass: The processor sleeps when idle",
    ),
    Row(
        "of a guest, hidden", IDLE,
        {"processor": {"idle_driver": "haltpoll", "idle_states": hidden("refused")}, "sight": GUEST},
        "unknown: Idle states: refused",
    ),
    Row(
        "states without a driver's name", IDLE,
        {"processor": {"idle_driver": absent(), "idle_states": ("C1", "C6")}},
        "pass: The processor sleeps when idle",
    ),
    Row(
        "of a guest that has them", IDLE, {"processor": DEEP, "sight": GUEST},
        "pass: The processor sleeps when idle",
    ),
    Row(
        "not shown", IDLE, {"processor": {"idle_driver": "acpi_idle", "idle_states": hidden("refused")}},
        "unknown: Idle states: refused",
    ),
    Row(
        "rises", GOVERNOR, {"processor": {"governor": "schedutil", "frequency_driver": "acpi-cpufreq"}},
        "pass: The frequency follows the governor schedutil (acpi-cpufreq), which rises with the load",
    ),
    Row(
        "performance", GOVERNOR, {"processor": {"governor": "performance"}},
        "pass: The frequency follows the governor performance",
    ),
    Row(
        "powersave that rises", GOVERNOR,
        {"processor": {"governor": "powersave", "frequency_driver": "intel_pstate"}},
        "pass: The frequency follows the governor powersave (intel_pstate), which rises with the load",
    ),
    Row(
        "powersave that does not", GOVERNOR,
        {"processor": {"governor": "powersave", "frequency_driver": "acpi-cpufreq"}},
        "warn warning: The governor powersave keeps the processor at its lowest frequency (acpi-cpufreq)",
        "system",
    ),
    Row(
        "powersave around a container", GOVERNOR,
        {
            "processor": {"governor": "powersave", "frequency_driver": "intel_cpufreq"},
            "os": {"container": "podman"},
        },
        "warn warning: The governor powersave keeps the processor at its lowest frequency (intel_cpufreq)",
        "host",
    ),
    Row(
        "powersave of an unknown driver", GOVERNOR, {"processor": {"governor": "powersave"}},
        "unknown: The frequency: the governor is powersave, and what that does depends on a driver "
        "that could not be read",
    ),
    Row(
        "none", GOVERNOR, {"processor": {"governor": absent()}},
        "pass: The kernel sets no frequency: the processor or the firmware does",
    ),
    Row(
        "of a guest", GOVERNOR, {"processor": {"governor": absent()}, "sight": GUEST},
        "not_applicable: The frequency: this is a guest: its hypervisor sets it",
    ),
    Row(
        "of a guest that has one", GOVERNOR, {"processor": {"governor": "performance"}, "sight": GUEST},
        "pass: The frequency follows the governor performance",
    ),
    Row(
        "not shown", GOVERNOR, {"processor": {"governor": hidden("refused")}},
        "unknown: The frequency: refused",
    ),
)  # fmt: skip


LOOKS_LIKE_NONE = "A second that the firmware switched off looks like none at all"
DETAILS = (
    Detail(VIRTUAL, {"processor": {"kernel_extension": True}}, "on", ("True",)),
    Detail(
        VIRTUAL, {"processor": {"extension": ""}}, "neither VT-x nor AMD-V in silicon", ("neither",),
        step="Another processor",
    ),
    Detail(
        VIRTUAL, {"processor": OFF, "firmware": {"settings": {"Virtualization": "Disabled"}}},
        "off", ("vmx", "False", "True", "Disabled"), step="irtualization on",
    ),
    Detail(SMT, {"processor": {"smt_active": True}}, "on", ("True",)),
    Detail(SMT, {"processor": {"smt": "off", "smt_active": False}}, "off", ("off", "False")),
    Detail(SMT, {"processor": {"smt": "forceoff"}}, "forceoff", ("forceoff",)),
    Detail(
        SMT, {"processor": {"smt_active": False}}, "one thread a core", ("False",), LOOKS_LIKE_NONE,
    ),
    Detail(
        SMT, {"processor": {"smt": "notsupported"}}, "notsupported", ("notsupported",), LOOKS_LIKE_NONE,
    ),
    Detail(SMT, {"firmware": {"settings": {"LogicProc": "Disabled"}}}, "off", ("Disabled",)),
    Detail(IDLE, {"processor": DEEP}, "POLL, C1E, C6", ("intel_idle", "POLL, C1E, C6")),
    Detail(IDLE, {"processor": {"idle_states": ("C6",)}}, "C6", ("C6",)),
    Detail(IDLE, {"processor": {"idle_driver": absent()}}, "none", ("none",)),
    Detail(
        IDLE,
        {
            "processor": DEEP | {"idle_states": ("POLL",)},
            "software": {"command_line": "quiet idle=poll"},
        },
        "POLL", ("intel_idle", "POLL", "idle=poll"),
    ),
    Detail(IDLE, {"processor": DEEP | {"idle_states": ("C1",)}}, "C1", ("intel_idle", "C1")),
    Detail(
        GOVERNOR, {"processor": {"governor": "schedutil", "frequency_driver": "acpi-cpufreq"}},
        "schedutil", ("schedutil", "acpi-cpufreq"),
    ),
    Detail(GOVERNOR, {"processor": {"governor": "ondemand"}}, "ondemand", ("ondemand",)),
)  # fmt: skip


@pytest.mark.parametrize("detail", DETAILS, ids=str)
def test_detail(detail: Detail) -> None:
    check_detail(detail)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_what_silicon_kernel_and_register_say_stands_side_by_side() -> None:
    (found,) = ask(VIRTUAL, case(processor=OFF))
    assert [one.value for one in found.evidence] == ["vmx", "False", "True"]


def test_an_option_that_keeps_the_processor_awake_is_named() -> None:
    seen = case(
        processor=DEEP | {"idle_states": ("POLL", "C1")},
        software={"command_line": "quiet intel_idle.max_cstate=1 ro"},
    )
    (found,) = ask(IDLE, seen)
    assert found.evidence[-1].value == "intel_idle.max_cstate=1"


def test_a_container_shows_the_machine_around_it() -> None:
    for identity in (SMT, IDLE, GOVERNOR):
        seen = {"smt_active": True, "governor": "schedutil"} | DEEP
        (found,) = ask(identity, case(processor=seen, os={"container": "docker"}))
        assert found.status == "pass"
        assert "the machine that runs it" in found.limits
