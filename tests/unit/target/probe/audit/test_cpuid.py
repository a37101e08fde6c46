"""The processor asked: emulated ones by table, and the one that runs this."""

from __future__ import annotations

import mmap
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import cpuid

from .processors import SAPPHIRE_RAPIDS, ZEN_2, Emulated, basic, bits, guest

X86 = os.uname().machine == "x86_64" and sys.maxsize > 1 << 32
ALL = list(cpuid.INSTRUCTIONS)
OLD = ["avx", "avx2", "fma", "f16c"]


def test_emulated_processors() -> None:
    for processor, vendor, extension, instructions in (
        (SAPPHIRE_RAPIDS, "GenuineIntel", "vmx", ALL),
        (ZEN_2, "AuthenticAMD", "svm", OLD),
        (Emulated({(0, 0): basic(highest=1)}), "GenuineIntel", "", []),
    ):
        assert cpuid.vendor(processor.leaves) == vendor
        assert cpuid.extension(processor.leaves) == extension
        assert cpuid.instructions(processor.leaves, processor.xcr0()) == instructions
        assert cpuid.hypervisor(processor.leaves) is None


@pytest.mark.parametrize(
    ("saved", "usable"),
    [
        (0, []),
        (bits(0, 1), []),
        (bits(0, 1, 2), [*OLD, "avx_vnni"]),
        (bits(0, 1, 2, 5, 6), [*OLD, "avx_vnni"]),
        (bits(0, 1, 2, 5, 6, 7), [*OLD, "avx512f", "avx512_vnni", "avx_vnni"]),
        (bits(0, 1, 2, 17), [*OLD, "avx_vnni"]),
        (bits(0, 1, 2, 5, 6, 7, 17, 18), ALL),
    ],
)
def test_what_the_system_does_not_save_cannot_be_used(saved: int, usable: list[str]) -> None:
    found = cpuid.instructions(SAPPHIRE_RAPIDS.leaves, saved)
    assert sorted(found) == sorted(usable)


def test_leaves_that_an_emulated_processor_has_not_are_not_believed() -> None:
    """Intel's answer the highest basic leaf instead of one that is too high."""
    wild = {(7, 0): (9, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), (7, 1): (0xFFFFFFFF, 0, 0, 0)}
    old = Emulated({(0, 0): basic(highest=5), (1, 0): (0, 0, bits(27, 28), 0), **wild})
    assert cpuid.instructions(old.leaves, 0xFFFFFFFF) == ["avx"]
    no_extended = Emulated({(0x80000000, 0): (0x80000000, 0, 0, 0), (0x80000001, 0): (0, 0, 4, 0)})
    assert cpuid.extension(no_extended.leaves) == ""


@pytest.mark.parametrize("text", ["KVMKVMKVM", "Microsoft Hv", "bhyve bhyve ", "prl hyperv  ", ""])
def test_signatures_of_emulated_hypervisors(text: str) -> None:
    assert cpuid.hypervisor(guest(text).leaves) == text


def test_the_root_partition_of_emulated_hyper_v() -> None:
    manages = (0, bits(12), 0, 0)
    assert cpuid.root_partition(guest("Microsoft Hv", x40000003=manages).leaves)
    assert not cpuid.root_partition(guest("Microsoft Hv").leaves)
    assert not cpuid.root_partition(guest("KVMKVMKVM", x40000003=manages).leaves)


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 8), st.integers(0, 1)), st.tuples(*[st.integers(0, 2**32 - 1)] * 4)
    )
)
def test_any_answers_are_a_processor(answers: dict[tuple[int, int], tuple[int, int, int, int]]) -> None:
    leaves = Emulated(answers).leaves
    assert set(cpuid.instructions(leaves, 0xFFFFFFFF)) <= set(ALL)
    assert isinstance(cpuid.vendor(leaves), str)
    assert cpuid.extension(leaves) in ("vmx", "svm", "")


@pytest.mark.skipif(not X86, reason="CPUID is an instruction of x86")
def test_this_processor() -> None:
    processor = cpuid.Processor()
    cpuinfo = Path("/proc/cpuinfo").read_text()
    flags = set(re.findall(r"(?m)^flags\s*: (.*)$", cpuinfo)[0].split())
    assert f"vendor_id\t: {cpuid.vendor(processor.leaves)}\n" in cpuinfo
    # A kernel leaves out what it does not use, and shows nothing that silicon has not.
    found = set(cpuid.instructions(processor.leaves, processor.xcr0()))
    assert flags & set(ALL) <= found
    assert (cpuid.hypervisor(processor.leaves) is not None) == ("hypervisor" in flags)
    assert cpuid.extension(processor.leaves) in {"vmx", "svm"} & flags or not flags & {"vmx", "svm"}


def unavailable() -> str:
    with pytest.raises(cpuid.Unavailable) as failure:
        cpuid.Processor()
    return str(failure.value)


def test_a_kernel_that_allows_no_executable_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "uname", lambda: type("uname", (), {"machine": "x86_64"}))
    monkeypatch.setattr(mmap, "mmap", refused)
    assert unavailable() == "the kernel allows no executable memory here: Operation not permitted"


def test_an_emulated_arm_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: type("uname", (), {"machine": "aarch64"}))
    assert unavailable() == "only a 64-bit x86 process can ask the processor"


def test_a_small_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: type("uname", (), {"machine": "x86_64"}))
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert unavailable().startswith("this Python has no ctypes: ")
