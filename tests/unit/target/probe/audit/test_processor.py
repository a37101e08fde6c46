"""The section of the processor: emulated ones, recorded ones, and this machine's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import collect
from provisioner.target.probe.audit import processor
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box
from tests.recorded import unpack

from .conftest import See, sight_of
from .processors import SAPPHIRE_RAPIDS, ZEN_2, Emulated, basic, guest

Files = dict[str, str | bytes]
CPU = (
    "processor\t: 0\nvendor_id\t: {maker}\nmodel name\t: x\nphysical id\t: 0\ncore id\t\t: 0\n"
    "flags\t\t: {flags}\n"
)
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
SYS = "/sys/devices/system/cpu/"
SUPERMICRO: Files = {"/sys/class/dmi/id/sys_vendor": "Supermicro\n"}


def cpuinfo(flags: str, maker: str = "GenuineIntel") -> Files:
    return {"/proc/cpuinfo": CPU.format(maker=maker, flags="fpu " + flags), **SUPERMICRO}


def values(found: dict[str, Any]) -> dict[str, Any]:
    """Values of what was read; the state of what was not."""
    return {name: one["value"] if one["state"] == "read" else one["state"] for name, one in found.items()}


def seen(see: See, files: Files) -> dict[str, Any]:
    sight = see(files)
    return processor.section(sight.box, sight)


NOTHING = {
    "usable": "hidden",
    "quota": "hidden",
    "smt": "absent",
    "smt_active": "absent",
    "idle_driver": "absent",
    "idle_states": "absent",
    "governor": "absent",
    "frequency_driver": "absent",
}
OLD = ["avx", "avx2", "fma", "f16c"]
ALL = [*OLD, "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"]

# Files, the processor (None: recorded, none to ask), and what is read.
CASES: dict[str, tuple[Files, Emulated | None, dict[str, Any]]] = {
    "Intel, its kernel shows VT-x": (
        cpuinfo("avx vmx"),
        SAPPHIRE_RAPIDS,
        {
            "vendor": "GenuineIntel",
            "extension": "vmx",
            "kernel_extension": True,
            "instructions": ALL,
            "locked_off": "hidden",
        },
    ),
    "Intel, its kernel shows none": (
        cpuinfo("avx"),
        SAPPHIRE_RAPIDS,
        {
            "vendor": "GenuineIntel",
            "extension": "vmx",
            "kernel_extension": False,
            "instructions": ALL,
            "locked_off": "hidden",
        },
    ),
    "AMD": (
        cpuinfo("avx svm"),
        ZEN_2,
        {
            "vendor": "AuthenticAMD",
            "extension": "svm",
            "kernel_extension": True,
            "instructions": OLD,
            "locked_off": "hidden",
        },
    ),
    "silicon without virtualization": (
        cpuinfo(""),
        Emulated({(0, 0): basic()}),
        {
            "vendor": "GenuineIntel",
            "extension": "",
            "kernel_extension": False,
            "instructions": [],
            "locked_off": "not_applicable",
        },
    ),
    "a guest": (
        cpuinfo("hypervisor avx"),
        guest("KVMKVMKVM"),
        {
            "vendor": "GenuineIntel",
            "extension": "",
            "kernel_extension": False,
            "instructions": [],
            "locked_off": "not_applicable",
        },
    ),
    "inside a container": (
        {**cpuinfo("svm"), "/run/.containerenv": ""},
        ZEN_2,
        {
            "vendor": "AuthenticAMD",
            "extension": "svm",
            "kernel_extension": True,
            "instructions": OLD,
            "locked_off": "not_applicable",
        },
    ),
    "recorded": (
        cpuinfo("avx avx2 fma f16c avx512f svm", "AuthenticAMD"),
        None,
        {
            "vendor": "AuthenticAMD",
            "extension": "hidden",
            "kernel_extension": True,
            "instructions": [*OLD, "avx512f"],
            "locked_off": "hidden",
        },
    ),
    "Arm": (
        {"/proc/cpuinfo": ARM, **SUPERMICRO},
        None,
        {
            "vendor": "implementer 0x41",
            "extension": "not_applicable",
            "kernel_extension": "not_applicable",
            "instructions": ["asimd", "sve"],
            "locked_off": "not_applicable",
        },
    ),
    "a cpuinfo that makes no sense": (
        {"/proc/cpuinfo": "x"},
        None,
        {
            "vendor": "error",
            "extension": "hidden",
            "kernel_extension": "hidden",
            "instructions": "hidden",
            "locked_off": "hidden",
        },
    ),
    "no /proc": (
        {},
        None,
        {
            "vendor": "absent",
            "extension": "hidden",
            "kernel_extension": "hidden",
            "instructions": "hidden",
            "locked_off": "hidden",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_emulated_processors(see: See, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, silicon, expected = CASES[name]
    monkeypatch.setattr(Sight, "processor", silicon)
    found = seen(see, files)
    assert values(found) == {**NOTHING, **expected}
    for one in found.values():
        assert bool(one["why"]) == (one["state"] != "read")
        assert one["source"]


@pytest.mark.parametrize(
    ("kind", "value", "off"),
    [
        ("vmx", 0b101, False),  # locked, allowed
        ("vmx", 0b001, True),  # locked, not allowed
        ("vmx", 0b011, True),  # allowed only for what almost nobody uses (SMX)
        ("vmx", 0b000, False),  # not locked: the kernel allows it itself
        ("vmx", 0b100, False),
        ("svm", 0b10000, True),
        ("svm", 0b01000, False),
        ("svm", 0, False),
    ],
)
def test_registers(kind: str, value: int, off: bool) -> None:
    assert processor.switched_off(kind, value) is off


MSRS: list[tuple[Emulated | None, str, int, bytes, tuple[str, bool | None, str]]] = [
    (SAPPHIRE_RAPIDS, "GenuineIntel", 0x3A, b"\1" + bytes(7), ("read", True, "")),
    (SAPPHIRE_RAPIDS, "GenuineIntel", 0x3A, b"\5" + bytes(7), ("read", False, "")),
    (None, "GenuineIntel", 0x3A, b"\1" + bytes(7), ("read", True, "")),
    (ZEN_2, "AuthenticAMD", 0xC0010114, b"\x10" + bytes(7), ("read", True, "")),
    (None, "HygonGenuine", 0xC0010114, b"\x08" + bytes(7), ("read", False, "")),
    (SAPPHIRE_RAPIDS, "GenuineIntel", 0x3A, b"\1", ("error", None, "register 0x3a has 1 bytes")),
    (None, "Nobody", 0x3A, b"\1", ("hidden", None, "the processor's maker is not known")),
]


@pytest.mark.parametrize(("silicon", "maker", "register", "content", "expected"), MSRS)
def test_emulated_registers_are_read_where_they_are(
    see: See,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    silicon: Emulated | None,
    maker: str,
    register: int,
    content: bytes,
    expected: tuple[str, bool | None, str],
) -> None:
    monkeypatch.setattr(Sight, "processor", silicon)
    path = tmp_path / processor.MSR.strip("/")
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.seek(register)
        file.write(content)
    found = seen(see, cpuinfo("avx", maker))["locked_off"]
    assert (found["state"], found["value"], found["why"]) == expected
    assert found["offset"] == (None if expected[0] == "hidden" else register)


def test_registers_need_a_module(see: See) -> None:
    assert seen(see, cpuinfo(""))["locked_off"]["why"] == "the module msr is not loaded"


SWITCHES: Files = {
    SYS + "smt/control": "on\n",
    SYS + "smt/active": "1\n",
    SYS + "cpuidle/current_driver": "intel_idle\n",
    SYS + "cpu0/cpuidle/state0/name": "POLL\n",
    SYS + "cpu0/cpuidle/state1/name": "C1E\n",
    SYS + "cpu0/cpuidle/state2/name": "C6\n",
    SYS + "cpu0/cpufreq/scaling_governor": "powersave\n",
    SYS + "cpu0/cpufreq/scaling_driver": "intel_pstate\n",
}


def test_what_the_kernel_lets_be_set(see: See) -> None:
    found = values(seen(see, SWITCHES))
    assert {name: found[name] for name in NOTHING} == {
        "usable": "hidden",
        "quota": "hidden",
        "smt": "on",
        "smt_active": True,
        "idle_driver": "intel_idle",
        "idle_states": ["POLL", "C1E", "C6"],
        "governor": "powersave",
        "frequency_driver": "intel_pstate",
    }


def test_files_of_the_kernel_that_make_no_sense(see: See) -> None:
    found = seen(see, dict.fromkeys(SWITCHES, "\n"))
    assert {name: found[name]["why"] for name in found if found[name]["state"] == "error"} == dict.fromkeys(
        ["smt", "smt_active", "idle_driver", "idle_states", "governor", "frequency_driver"], "it is empty"
    )
    assert seen(see, {SYS + "smt/active": "maybe\n"})["smt_active"]["why"] == "'maybe' is neither 0 nor 1"


def test_idle_states_without_end(see: See) -> None:
    many: Files = {SYS + f"cpu0/cpuidle/state{number}/name": "C\n" for number in range(50)}
    assert len(seen(see, many)["idle_states"]["value"]) == processor.MOST_STATES


V1 = "4 1 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
V2 = "6 1 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
TOP = "/sys/fs/cgroup"
MAX, HALF, TWO = "max 100000\n", "50000 100000\n", "200000 100000\n"
QUOTAS: dict[str, tuple[str, str, Files, tuple[str, float | None, str]]] = {
    "v2, none set": ("0::/a\n", V2, {TOP + "/a/cpu.max": MAX}, ("absent", None, processor.CGROUP)),
    "v2, not even a file": ("0::/a\n", V2, {}, ("absent", None, processor.CGROUP)),
    "v2, of a cgroup above": (
        "0::/a/b\n",
        V2,
        {TOP + "/a/cpu.max": HALF, TOP + "/a/b/cpu.max": TWO},
        ("read", 0.5, TOP + "/a/cpu.max"),
    ),
    "v2, in a container": ("0::/\n", V2, {TOP + "/cpu.max": TWO}, ("read", 2.0, TOP + "/cpu.max")),
    "v1, none set": (
        "3:cpu,cpuacct:/a\n",
        V1,
        {TOP + "/cpu/a/cpu.cfs_quota_us": "-1\n", TOP + "/cpu/a/cpu.cfs_period_us": "100000\n"},
        ("absent", None, processor.CGROUP),
    ),
    "v1": (
        "3:cpu,cpuacct:/a\n0::/\n",
        V1,
        {TOP + "/cpu/a/cpu.cfs_quota_us": "150000\n", TOP + "/cpu/a/cpu.cfs_period_us": "100000\n"},
        ("read", 1.5, TOP + "/cpu/a/cpu.cfs_quota_us"),
    ),
    "v1, no period": (
        "3:cpu,cpuacct:/a\n",
        V1,
        {TOP + "/cpu/a/cpu.cfs_quota_us": "150000\n", TOP + "/cpu/a/cpu.cfs_period_us": "0\n"},
        ("error", None, TOP + "/cpu/a/cpu.cfs_quota_us"),
    ),
    "v2, senseless": ("0::/\n", V2, {TOP + "/cpu.max": "lots\n"}, ("error", None, TOP + "/cpu.max")),
    "not mounted": ("0::/\n", "", {}, ("hidden", None, processor.CGROUP)),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_quotas_of_cgroups(see: See, name: str) -> None:
    cgroup, mounted, files, expected = QUOTAS[name]
    found = seen(see, {"/proc/self/cgroup": cgroup, "/proc/self/mountinfo": mounted, **files})["quota"]
    assert (found["state"], found["value"], found["source"]) == expected


@given(st.binary(max_size=40) | st.from_regex(rb"-?[0-9max]{1,20} [0-9]{1,20}", fullmatch=True))
def test_any_bytes_are_a_quota_or_malformed(content: bytes) -> None:
    try:
        share = processor._share(content)
    except Malformed:
        return
    assert share is None or share >= 0


@given(st.binary())
def test_any_bytes_are_a_makers_name_or_malformed(content: bytes) -> None:
    for text in (content, b"vendor_id\t: " + content):
        try:
            assert processor.vendor_of_cpuinfo(text)
        except Malformed:
            continue


def test_a_recorded_machine(tmp_path: Path) -> None:
    sight = sight_of(unpack("q35-smt-dmi", tmp_path))
    assert values(processor.section(sight.box, sight)) == {
        "vendor": "GenuineIntel",
        "extension": "hidden",
        "kernel_extension": False,
        "instructions": [],
        "usable": "hidden",
        "quota": "hidden",
        "smt": "on",
        "smt_active": True,
        "idle_driver": "none",
        "idle_states": "absent",
        "governor": "absent",
        "frequency_driver": "absent",
        "locked_off": "not_applicable",
    }


def test_this_machine() -> None:
    sight = Sight(Box(), collect.collect("/", []), {})
    found = processor.section(sight.box, sight)
    assert found["usable"]["value"] == len(os.sched_getaffinity(0))
    assert found["vendor"]["state"] == "read"
    assert found["instructions"]["state"] == "read"
    assert sight.box.unknown == []
