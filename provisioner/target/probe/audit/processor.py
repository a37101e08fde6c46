"""The processor: silicon beside what the kernel shows of it, and how much of it this process may use."""

from __future__ import annotations

import os
import re
import struct
from typing import Any, Dict, List, Optional

from .. import system
from ..box import MISSING, Box, reason
from . import cpuid, readings
from .readings import Malformed, Reading
from .sight import Sight

CPUINFO = "/proc/cpuinfo"
CPU = "/sys/devices/system/cpu/"
CGROUP = "/proc/self/cgroup"
MSR = "/dev/cpu/0/msr"
# IA32_FEATURE_CONTROL: bit 0 locked, bit 2 VMX allowed (Intel SDM, volume 3, 24.7).
FEATURE_CONTROL = 0x3A
# VM_CR: bit 4 SVMDIS (AMD64 Architecture Programmer's Manual, volume 2, 15.30.1).
VM_CR = 0xC0010114
EXTENSIONS = {
    "GenuineIntel": "vmx",
    "CentaurHauls": "vmx",
    "  Shanghai  ": "vmx",
    "AuthenticAMD": "svm",
    "HygonGenuine": "svm",
}
ARM_INSTRUCTIONS = ("asimd", "sve")
# More than any processor has of them: a folder with more is none of the kernel's.
MOST_STATES = 16


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.processor`."""
    found = {
        "vendor": vendor(box, sight),
        "extension": extension(sight),
        "kernel_extension": kernel_extension(sight),
        "instructions": instructions(sight),
        "usable": usable(box),
        "quota": quota(box, sight),
        "smt": readings.from_file(box, CPU + "smt/control", readings.word, "this kernel knows no SMT"),
        "smt_active": readings.from_file(box, CPU + "smt/active", switch, "this kernel knows no SMT"),
        "idle_driver": readings.from_file(
            box, CPU + "cpuidle/current_driver", readings.word, "this kernel manages no idle states"
        ),
        "idle_states": idle_states(box),
        "governor": frequency(box, "scaling_governor"),
        "frequency_driver": frequency(box, "scaling_driver"),
    }
    return {**found, "locked_off": locked_off(box, sight, found["extension"], found["vendor"])}


def flags(sight: Sight) -> List[str]:
    """What the kernel shows of the first processor."""
    shown: List[str] = sight.facts["cpu"]["flags"]
    return shown


def not_x86(sight: Sight) -> Optional[str]:
    """Why nothing of x86 is to be found; None on x86, or where nobody knows what it is."""
    shown = flags(sight)
    return "only x86 processors have this" if shown and "fpu" not in shown else None


def vendor(box: Box, sight: Sight) -> Reading:
    """The maker's name in silicon; on Arm the implementer's number, as /proc/cpuinfo writes it."""
    if sight.processor:
        return readings.read(cpuid.vendor(sight.processor.leaves), "CPUID 0")
    return readings.from_file(box, CPUINFO, vendor_of_cpuinfo, "/proc is not mounted")


def vendor_of_cpuinfo(content: bytes) -> str:
    """The maker in /proc/cpuinfo; Malformed."""
    for key, before in ((b"vendor_id", ""), (b"CPU implementer", "implementer ")):
        found = re.search(rb"(?m)^%s[ \t]*: ?([^\n]+)$" % key, content)
        if found:
            return before + found.group(1).decode("utf-8", "backslashreplace")
    raise Malformed("it names no maker")


def extension(sight: Sight) -> Reading:
    """Virtualization in silicon, whatever the kernel shows."""
    if sight.processor:
        source = "CPUID 1.ECX and 0x80000001.ECX"
        return readings.read(cpuid.extension(sight.processor.leaves), source)
    why = not_x86(sight)
    return readings.not_applicable(why, CPUINFO) if why else readings.hidden(sight.no_processor, "CPUID")


def kernel_extension(sight: Sight) -> Reading:
    """Whether the kernel shows virtualization."""
    why = not_x86(sight)
    if why:
        return readings.not_applicable(why, CPUINFO)
    shown = flags(sight)
    if not shown:
        return readings.hidden("/proc/cpuinfo shows no flags", CPUINFO)
    return readings.read("vmx" in shown or "svm" in shown, CPUINFO)


def locked_off(box: Box, sight: Sight, silicon: Reading, maker: Reading) -> Reading:
    """Whether firmware switched virtualization off, as the processor's registers say."""
    why = not_x86(sight) or sight.firmware
    if not why and sight.virtualization["value"] not in ("none", None):
        why = "a guest's processor is what its host makes of it"
    if not why and silicon["value"] == "":
        why = "this processor has no virtualization to switch off"
    if why:
        return readings.not_applicable(why, MSR)
    kind = silicon["value"] or EXTENSIONS.get(maker["value"] or "")
    if kind is None:
        return readings.hidden("the processor's maker is not known", MSR)
    register = FEATURE_CONTROL if kind == "vmx" else VM_CR
    try:
        fd = os.open(box.path(MSR), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            content = os.pread(fd, 8, register)
        finally:
            os.close(fd)
    except OSError as failure:
        lacking = "the module msr is not loaded" if failure.errno in MISSING else reason(failure, MSR)
        return readings.hidden(lacking, MSR)
    if len(content) != 8:
        return readings.error("register 0x%x has %d bytes" % (register, len(content)), MSR, register)
    return readings.read(switched_off(kind, struct.unpack("<Q", content)[0]), MSR, register)


def switched_off(kind: str, value: int) -> bool:
    """Whether the register FEATURE_CONTROL or VM_CR says that firmware switched virtualization off."""
    return value & 0b101 == 1 if kind == "vmx" else bool(value >> 4 & 1)


def instructions(sight: Sight) -> Reading:
    """What silicon and system support together; what the kernel shows, where silicon cannot be asked."""
    if sight.processor:
        found = cpuid.instructions(sight.processor.leaves, sight.processor.xcr0())
        return readings.read(found, "CPUID 1, 7 and XCR0")
    shown = flags(sight)
    if not shown:
        return readings.hidden("/proc/cpuinfo shows no flags", CPUINFO)
    known = ARM_INSTRUCTIONS if not_x86(sight) else tuple(cpuid.INSTRUCTIONS)
    return readings.read([name for name in known if name in shown], CPUINFO)


def usable(box: Box) -> Reading:
    """How many processors this process may run on."""
    if not box.live:
        return readings.hidden("a recorded tree does not tell", "sched_getaffinity")
    return readings.read(len(os.sched_getaffinity(0)), "sched_getaffinity")


def quota(box: Box, sight: Sight) -> Reading:
    """The smallest quota of the cgroups around this process, in processors' worth of time."""
    if not box.there(CGROUP):
        return readings.hidden("the kernel does not tell the cgroup", CGROUP)
    folders = system.cgroups(box, "audit.processor", "cpu", sight.mounts)
    if not folders:
        return readings.hidden("no hierarchy of cgroups is mounted here", CGROUP)
    found: List[Reading] = []
    for version, folder in folders:
        one = (quota_2 if version == 2 else quota_1)(box, folder)
        if one["state"] not in ("absent", "read"):
            return one
        if one["value"] is not None:
            found.append(one)
    if found:
        return min(found, key=lambda one: float(one["value"]))
    return readings.absent("no cgroup around this process limits its processors", CGROUP)


def quota_2(box: Box, folder: str) -> Reading:
    """cpu.max: quota, or "max", and period; the value is None for none."""
    return readings.from_file(box, folder + "/cpu.max", _share, "")


def quota_1(box: Box, folder: str) -> Reading:
    """cpu.cfs_quota_us, -1 for none, and cpu.cfs_period_us."""
    period = readings.from_file(box, folder + "/cpu.cfs_period_us", readings.word, "")
    if period["state"] != "read":
        return period
    return readings.from_file(
        box,
        folder + "/cpu.cfs_quota_us",
        lambda content: _share(content + b" " + period["value"].encode()),
        "",
    )


def _share(content: bytes) -> Optional[float]:
    """Quota by period, both in microseconds; Malformed."""
    words = content.split()
    if len(words) == 2 and re.match(rb"[1-9][0-9]{0,18}$", words[1]):
        if words[0] in (b"max", b"-1"):
            return None
        if re.match(rb"[0-9]{1,18}$", words[0]):
            return int(words[0]) / int(words[1])
    raise Malformed("%.60r is no quota and period" % content)


def switch(content: bytes) -> bool:
    """A file that holds 0 or 1; Malformed."""
    text = readings.word(content)
    if text not in ("0", "1"):
        raise Malformed("%.40r is neither 0 nor 1" % text)
    return text == "1"


def frequency(box: Box, name: str) -> Reading:
    """A word of cpufreq for the first processor."""
    path = CPU + "cpu0/cpufreq/" + name
    return readings.from_file(box, path, readings.word, "the kernel sets no frequencies here")


def idle_states(box: Box) -> Reading:
    """Names of the first processor's idle states, the lightest first."""
    folder = CPU + "cpu0/cpuidle"
    states: List[str] = []
    while len(states) < MOST_STATES:
        one = readings.from_file(box, "%s/state%d/name" % (folder, len(states)), readings.word, "")
        if one["state"] == "absent":
            break
        if one["state"] != "read":
            return one
        states.append(one["value"])
    if states:
        return readings.read(states, folder)
    return readings.absent("this kernel manages no idle states", folder)
