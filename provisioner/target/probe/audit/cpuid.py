"""What the processor itself says (CPUID, XCR0), read by a few bytes of machine code: no rights needed.

A kernel hides in /proc/cpuinfo what firmware switched off or what it has no use for; silicon does not. Layout
of the leaves: Intel's and AMD's manuals (instruction CPUID), and Linux's cpufeatures.h.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from typing import Callable, Dict, List, Optional, Tuple

Registers = Tuple[int, int, int, int]  # eax, ebx, ecx, edx
Leaves = Callable[[int, int], Registers]

# push rbx; mov eax,edi; mov ecx,esi; mov r8,rdx; cpuid; store eax, ebx, ecx, edx at r8; pop rbx; ret
CPUID = bytes.fromhex("53 89f8 89f1 4989d0 0fa2 418900 41895804 41894808 4189500c 5b c3")
# xor ecx,ecx; xgetbv; shl rdx,32; or rax,rdx; ret: register XCR0, what the system saves of a process
XGETBV = bytes.fromhex("31c9 0f01d0 48c1e220 4809d0 c3")

EXTENDED = 0x80000000
HYPERVISOR = 0x40000000
AVX, AVX512, AMX = 0x6, 0xE6, 0x60006  # bits of XCR0 that the registers of each need
# Name: leaf, subleaf, register, bit, and what the system must save for it to be usable.
INSTRUCTIONS: Dict[str, Tuple[int, int, int, int, int]] = {
    "avx": (1, 0, 2, 28, AVX),
    "avx2": (7, 0, 1, 5, AVX),
    "fma": (1, 0, 2, 12, AVX),
    "f16c": (1, 0, 2, 29, AVX),
    "avx512f": (7, 0, 1, 16, AVX512),
    "avx512_vnni": (7, 0, 2, 11, AVX512),
    "avx_vnni": (7, 1, 0, 4, AVX),
    "amx_tile": (7, 0, 3, 24, AMX),
    "amx_int8": (7, 0, 3, 25, AMX),
    "amx_bf16": (7, 0, 3, 22, AMX),
}


class Unavailable(Exception):  # noqa: N818 - a state of the machine, not a failure of the program
    """Why CPUID cannot be read here."""


class Processor:
    """This machine's processor. Raises Unavailable when the code cannot be run."""

    def __init__(self) -> None:
        if os.uname().machine not in ("x86_64", "amd64") or sys.maxsize < 1 << 32:
            raise Unavailable("only a 64-bit x86 process can ask the processor")
        try:
            import ctypes
        except ImportError as lacking:  # Debian's python3-minimal has none
            raise Unavailable("this Python has no ctypes: %s" % lacking) from lacking
        try:
            self.page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        except OSError as refused:
            raise Unavailable(
                "the kernel allows no executable memory here: %s" % refused.strerror
            ) from refused
        self.page.write(CPUID.ljust(64, b"\xcc") + XGETBV)
        # No exported buffer may stay: the page could not be closed then.
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.answer = (ctypes.c_uint32 * 4)()
        self.cpuid = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(start)
        self.xgetbv = ctypes.CFUNCTYPE(ctypes.c_uint64)(start + 64)

    def leaves(self, leaf: int, subleaf: int = 0) -> Registers:
        """The four registers after CPUID."""
        self.cpuid(leaf, subleaf, self.answer)
        eax, ebx, ecx, edx = self.answer
        return eax, ebx, ecx, edx

    def xcr0(self) -> int:
        """Which registers the system saves; 0 when it saves none beyond SSE (no OSXSAVE)."""
        return int(self.xgetbv()) if self.leaves(1)[2] >> 27 & 1 else 0


def vendor(leaves: Leaves) -> str:
    """GenuineIntel, AuthenticAMD, …"""
    _, ebx, ecx, edx = leaves(0, 0)
    return _text(ebx, edx, ecx)


def extension(leaves: Leaves) -> str:
    """The virtualization extension in silicon: "vmx", "svm" or ""."""
    if leaves(1, 0)[2] >> 5 & 1:
        return "vmx"
    if leaves(EXTENDED, 0)[0] > EXTENDED and leaves(EXTENDED + 1, 0)[2] >> 2 & 1:
        return "svm"
    return ""


def hypervisor(leaves: Leaves) -> Optional[str]:
    """The signature of the hypervisor below, such as "KVMKVMKVM"; None on bare silicon."""
    if not leaves(1, 0)[2] >> 31:
        return None
    return _text(*leaves(HYPERVISOR, 0)[1:])


def root_partition(leaves: Leaves) -> bool:
    """Whether this is Hyper-V's own root partition: the machine, not a guest of it.

    CPUID 0x40000003 EBX bit 12 (CpuManagement), as the Hypervisor Top Level Functional Specification says.
    """
    return hypervisor(leaves) == "Microsoft Hv" and bool(leaves(HYPERVISOR + 3, 0)[1] >> 12 & 1)


def instructions(leaves: Leaves, xcr0: int) -> List[str]:
    """Those of INSTRUCTIONS that silicon has and whose registers the system saves."""
    highest = leaves(0, 0)[0]
    subleaves = leaves(7, 0)[0] if highest >= 7 else 0
    return [
        name
        for name, (leaf, subleaf, register, bit, saved) in INSTRUCTIONS.items()
        if leaf <= highest
        and subleaf <= subleaves
        and leaves(leaf, subleaf)[register] >> bit & 1
        and xcr0 & saved == saved
    ]


def _text(*registers: int) -> str:
    return struct.pack("<3I", *registers).rstrip(b"\0").decode("ascii", "backslashreplace")
