"""Processors that answer CPUID from a table."""

from __future__ import annotations

import struct

from provisioner.target.probe.audit.cpuid import Registers

Answers = dict[tuple[int, int], Registers]


class Emulated:
    """A processor. `answers` by leaf and subleaf; what is not in it answers zeros."""

    def __init__(self, answers: Answers, xcr0: int = 0) -> None:
        self.answers, self.saved = answers, xcr0

    def leaves(self, leaf: int, subleaf: int = 0) -> Registers:
        return self.answers.get((leaf, subleaf), (0, 0, 0, 0))

    def xcr0(self) -> int:
        return self.saved


def basic(vendor: str = "GenuineIntel", highest: int = 0x16) -> Registers:
    """Leaf 0: the name is in ebx, edx, ecx."""
    ebx, edx, ecx = struct.unpack("<3I", vendor.encode())
    return highest, ebx, ecx, edx


def signature(text: str) -> Registers:
    """Leaf 0x40000000 of a hypervisor."""
    ebx, ecx, edx = struct.unpack("<3I", text.encode().ljust(12, b"\0"))
    return 0x40000001, ebx, ecx, edx


def guest(text: str, **others: Registers) -> Emulated:
    """A guest of the hypervisor with this signature."""
    return Emulated(
        {
            (0, 0): basic(),
            (1, 0): (0, 0, 1 << 31, 0),
            (0x40000000, 0): signature(text),
            **{(int(leaf[1:], 16), 0): answer for leaf, answer in others.items()},
        }
    )


def bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


# As an Intel Xeon of 2023 answers, on bare metal with VT-x: every instruction that is asked about.
SAPPHIRE_RAPIDS = Emulated(
    {
        (0, 0): basic(highest=0x20),
        (1, 0): (0, 0, bits(5, 12, 27, 28, 29), 0),
        (7, 0): (2, bits(5, 16), bits(11), bits(22, 24, 25)),
        (7, 1): (bits(4), 0, 0, 0),
        (0x80000000, 0): (0x80000008, 0, 0, 0),
    },
    xcr0=0x602E7,
)
# As an AMD Ryzen of 2019 answers.
ZEN_2 = Emulated(
    {
        (0, 0): basic("AuthenticAMD", 0x10),
        (1, 0): (0, 0, bits(12, 27, 28, 29), 0),
        (7, 0): (0, bits(5), 0, 0),
        (0x80000000, 0): (0x80000020, 0, 0, 0),
        (0x80000001, 0): (0, 0, bits(2), 0),
    },
    xcr0=0x207,
)
