"""The processor: hardware virtualization, threads a core, idle states, frequency."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.preflight import attributes
from provisioner.preflight.finding import Actor, Evidence
from provisioner.preflight.remedies import by_hand, in_firmware
from provisioner.preflight.rule import Case, Rule, Verdict, bad, cannot, good, seen
from provisioner.preflight.rules.machine import inapplicable, of_the_machine, unknown, x86

_NAMES = {"vmx": "VT-x", "svm": "AMD-V"}
# These take their hints from the processor: their "powersave" rises with the load (kernel, intel_pstate.rst).
_RISES = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")
_SHALLOW = frozenset({"POLL", "C1", "C1E", "C1_ACPI"})
_SWITCHED_OFF = {"off": "in the running system", "forceoff": "by the kernel's command line"}
_CONTAINER = "A container shows the processor of the machine that runs it, which is where to change it."


@of_the_machine("Hardware virtualization")
def virtualization(case: Case) -> Iterator[Verdict]:
    """VT-x or AMD-V: in silicon, and left on by the firmware. A missing flag alone says neither."""
    if case.virtual:
        yield inapplicable("Hardware virtualization", "this is a guest: only its hypervisor decides that")
        return
    if not x86(case):
        yield inapplicable("Hardware virtualization", "no setting on processors of this kind")
        return
    processor = case.audit.processor
    flag = processor.extension.value
    name = _NAMES.get(flag or "", "Hardware virtualization")
    said = attributes.said(case, "virtualization")
    evidence = (
        *((seen(processor.extension, flag or "neither"),) if flag is not None else ()),
        *((seen(processor.kernel_extension),) if processor.kernel_extension.value is not None else ()),
        *((seen(processor.locked_off),) if processor.locked_off.value is not None else ()),
        *((said.evidence,) if said else ()),
    )
    if processor.kernel_extension.value:
        yield good(f"{name} is there and switched on", "on", evidence=evidence)
    elif flag == "":
        yield bad(
            "This processor has no hardware virtualization",
            "neither VT-x nor AMD-V in silicon",
            "VT-x or AMD-V",
            evidence=evidence,
            remedy=by_hand("Another processor: no setting brings it.", actor="owner"),
        )
    elif processor.locked_off.value or (said is not None and said.on is False):
        yield bad(
            f"{name} is in the processor, and switched off in the firmware",
            "off",
            "on",
            evidence=evidence,
            remedy=in_firmware(case, "virtualization", "on"),
        )
    elif flag is None or processor.kernel_extension.value is None:
        missing = processor.extension if flag is None else processor.kernel_extension
        yield cannot(missing, "Hardware virtualization")
    elif processor.locked_off.value is False:
        yield bad(
            f"{name} is in the processor and on in the firmware, but the kernel does not use it",
            "not shown by the kernel",
            "on",
            evidence=evidence,
            confidence="likely",
            remedy=by_hand(
                "See what the kernel says of it (`journalctl -k --grep 'VMX|SVM|clearcpuid'`), "
                "and whether `clearcpuid=` is on its command line.",
                actor="kernel",
                reboot=True,
            ),
        )
    else:
        yield bad(
            f"{name} is in the processor, and the kernel does not show it: "
            "most likely it is switched off in the firmware",
            "not shown by the kernel",
            "on",
            evidence=evidence,
            confidence="likely",
            limits="Only root may read the register that would settle it.",
            remedy=in_firmware(case, "virtualization", "on"),
        )


def smt(case: Case) -> Iterator[Verdict]:
    """Two threads a core: worth knowing, as sizes of thread pools go by cores."""
    word, active = case.audit.processor.smt, case.audit.processor.smt_active
    limits = _CONTAINER if case.facts.os.container else ""
    said = None if limits or case.virtual else attributes.said(case, "smt")
    evidence = (
        *((seen(word),) if word.value else ()),
        *((seen(active),) if active.value is not None else ()),
        *((said.evidence,) if said else ()),
    )
    if active.value is True:
        yield good("Each core runs two threads", "on", evidence=evidence, limits=limits)
    elif word.value in ("off", "forceoff") or (said is not None and said.on is False):
        where = _SWITCHED_OFF.get(word.value or "", "in the firmware")
        yield good(
            f"Each core runs one thread: the second is switched off {where}",
            word.value or "off",
            evidence=evidence,
            limits=limits,
            weight="info",
        )
    elif active.value is False or word.value in ("notsupported", "notimplemented"):
        yield good(
            "Each core runs one thread",
            word.value or "one thread a core",
            evidence=evidence,
            limits=f"A second that the firmware switched off looks like none at all. {limits}".strip(),
        )
    else:
        yield cannot(active if word.value else word, "How many threads a core runs")


def idle_states(case: Case) -> Iterator[Verdict]:
    """Deep idle states: power while nobody asks, against a little delay."""
    driver, states = case.audit.processor.idle_driver, case.audit.processor.idle_states
    if case.virtual and driver.value in (None, "none") and not states.value:
        yield inapplicable("Idle states", "this is a guest: its hypervisor puts the processor to sleep")
        return
    limits = _CONTAINER if case.facts.os.container else ""
    if driver.value == "none" or (driver.state == "absent" and not states.value):
        yield good(
            "The kernel manages no idle states: the processor stays awake, and warm",
            driver.value or "none",
            evidence=(seen(driver, driver.value or "none"),),
            limits=limits,
            weight="info",
        )
        return
    if not states.value:
        yield cannot(states if driver.value else driver, "Idle states")
        return
    words = ", ".join(states.value)
    evidence = (*((seen(driver),) if driver.value else ()), seen(states, words))
    told = next(
        (
            word
            for word in (case.audit.software.command_line.value or "").split()
            if "max_cstate=" in word or word.startswith("idle=")
        ),
        "",
    )
    if set(states.value) <= _SHALLOW:
        yield good(
            "Only shallow idle states are in use: the processor wakes at once, and draws more when idle",
            words,
            evidence=(*evidence, *((Evidence("/proc/cmdline", told),) if told else ())),
            limits=limits,
            weight="info",
        )
    else:
        yield good("The processor sleeps when idle", words, evidence=evidence, limits=limits)


def governor(case: Case) -> Iterator[Verdict]:
    """Who sets the frequency: a governor that pins the lowest one costs tokens on a CPU."""
    word, driver = case.audit.processor.governor, case.audit.processor.frequency_driver
    if case.virtual and not word.value:
        yield inapplicable("The frequency", "this is a guest: its hypervisor sets it")
        return
    limits = _CONTAINER if case.facts.os.container else ""
    if word.state == "absent":
        yield good(
            "The kernel sets no frequency: the processor or the firmware does",
            "no governor",
            evidence=(seen(word, "none"),),
            limits=limits,
        )
    elif not word.value:
        yield cannot(word, "The frequency")
    elif word.value != "powersave" or driver.value in _RISES:
        by = f" ({driver.value})" if driver.value else ""
        yield good(
            f"The frequency follows the governor {word.value}{by}, which rises with the load"
            if word.value not in ("userspace", "performance")
            else f"The frequency follows the governor {word.value}{by}",
            word.value,
            evidence=(seen(word), *((seen(driver),) if driver.value else ())),
            limits=limits,
        )
    elif driver.value:
        actor: Actor = "host" if limits else "system"
        yield bad(
            f"The governor powersave keeps the processor at its lowest frequency ({driver.value})",
            f"powersave with {driver.value}",
            "schedutil, ondemand or performance",
            evidence=(seen(word), seen(driver)),
            limits=limits,
            remedy=by_hand(
                "Choose another until the next start: "
                "`echo schedutil | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor`.",
                "For good: in the tool that chose it (cpupower, tuned, power-profiles-daemon, tlp).",
                actor=actor,
            ),
        )
    else:
        yield unknown(
            "The frequency",
            "the governor is powersave, and what that does depends on a driver that could not be read",
        )


RULES = (
    Rule("cpu.virtualization", "processor", virtualization, "info", {"vfio-host": "fail"}),
    Rule("cpu.smt", "processor", smt, "info"),
    Rule("cpu.idle-states", "processor", idle_states, "info"),
    Rule("cpu.governor", "processor", governor, "warn"),
)
