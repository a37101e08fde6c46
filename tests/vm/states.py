"""States of firmware, as data: what QEMU is told, and which findings differ from the machine beside it.

A state differs from its `base` in one thing. So do the findings: `flips` are all of them that may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from provisioner.preflight.purpose import Purpose
from tests.lab.process import LabError

from . import smbios
from .firmware import Firmware

# Without the processor's hypervisor bit, under a server board's name: the verdicts are those of a machine
# that is nobody's guest. Everything below is real: the tables, registers and devices are QEMU's.
PRESENTED = (
    "-smbios type=1,manufacturer=Supermicro,product=SYS-1029P-WTR",
    "-smbios type=2,manufacturer=Supermicro,product=X11DDW-NT",
)
IOMMU_MATTERS: tuple[Purpose, ...] = ("multi-gpu", "vfio-host")
PLAIN = "qemu64,-hypervisor"
UEFI = (smbios.bios(uefi=True),)
NEW_SMBIOS = "smbios-entry-point-type=64"
VT_D = "kernel-irqchip=split"
TWO_NODES = (
    "-object memory-backend-ram,id=m0,size=512M",
    "-object memory-backend-ram,id=m1,size=512M",
    "-numa node,nodeid=0,cpus=0,memdev=m0",
    "-numa node,nodeid=1,memdev=m1",
)
VIRTUAL_FUNCTIONS = "sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=16"
NVME = (
    "-device pxb-pcie,id=bridge,bus_nr=64,numa_node=1,bus=pcie.0",
    "-device pcie-root-port,id=rp0,bus=bridge,slot=1,x-speed=8,x-width=16",
    "-device nvme-subsys,id=subsystem",
    f"-device nvme,serial=1,subsys=subsystem,bus=rp0,{VIRTUAL_FUNCTIONS}",
)
REMAPPING = "-device intel-iommu,intremap=on"


Seen = tuple[str, str, str]
"""Status, severity and what was observed."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A finding of `base` and of the state: None where there is none. `purpose`: for a box that is for this,
    and not for what it is taken for.
    """

    id: str
    before: Seen | None
    after: Seen | None
    subject: str = ""
    purpose: Purpose | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class State:
    """A machine. `options` go to the kernel's command line; `tables` are structures of its SMBIOS;
    `purposes`: it is judged for these too, beside what it is taken for. `base` "" is a machine that others
    are compared with.
    """

    name: str
    what: str
    base: str = ""
    firmware: Firmware = "bios"
    machine: str = ""
    cpu: str = PLAIN
    smp: str = "1"
    memory: str = "1024"
    qemu: tuple[str, ...] = PRESENTED
    options: tuple[str, ...] = ()
    tables: tuple[bytes, ...] = (smbios.bios(uefi=False),)
    purposes: tuple[Purpose, ...] = ()
    flips: tuple[Flip, ...] = ()


PLAIN_LINE: Seen = ("pass", "none", "its own")
NOTED_OPTION: Seen = ("pass", "info", "its own")
NOT_APPLICABLE: Seen = ("not_applicable", "none", "")
NO_TABLE: Seen = ("pass", "info", "no table of an IOMMU")
DMAR_UNUSED: Seen = ("pass", "info", "table DMAR, no active unit")
DMAR_WANTED: Seen = ("fail", "blocking", "table DMAR, no active unit")
IVRS_UNUSED: Seen = ("pass", "info", "table IVRS, no active unit")

STATES: Sequence[State] = (
    State("bios", "SeaBIOS, nothing of note"),
    State("uefi", "OVMF with an owner's keys, Secure Boot off", firmware="uefi", tables=UEFI),
    State("secure-boot", "Secure Boot on, a kernel of the owner's", "uefi", "secure-boot", tables=UEFI,
          flips=(
              Flip("boot.lockdown", ("pass", "none", "none"), ("pass", "info", "integrity")),
              Flip("boot.mok", NOT_APPLICABLE, ("pass", "none", "no certificate")),
              Flip("boot.secure-boot",
                   ("pass", "none", "firmware: off; setup mode: no; kernel: off"),
                   ("pass", "info", "firmware: on; setup mode: no; kernel: on")),
          )),
    State("setup-mode", "no keys: Secure Boot cannot be on", "uefi", "setup-mode", tables=UEFI,
          flips=(
              Flip("boot.secure-boot",
                   ("pass", "none", "firmware: off; setup mode: no; kernel: off"),
                   ("pass", "none", "firmware: off; setup mode: yes; kernel: off")),
          )),
    State("csm", "started as a PC BIOS by firmware that knows UEFI", "bios", tables=UEFI,
          flips=(
              Flip("boot.mode", ("pass", "info", "legacy"),
                   ("warn", "warning", "legacy boot, UEFI-capable firmware")),
          )),
    State("vt-d-off", "VT-d in the firmware, the kernel told to leave it", "bios", machine=VT_D,
          qemu=(*PRESENTED, REMAPPING), options=("intel_iommu=off",),
          flips=(
              Flip("kernel.options", PLAIN_LINE, None),
              Flip("kernel.options", None, NOTED_OPTION, "option:intel_iommu=off"),
              Flip("iommu.interrupt-remapping", NOT_APPLICABLE, ("pass", "none", "offered")),
              Flip("iommu.mode", NO_TABLE, DMAR_UNUSED),
          )),
    State("vt-d", "VT-d translates", "vt-d-off", machine=VT_D,
          qemu=(*PRESENTED, REMAPPING), options=("intel_iommu=on",), purposes=IOMMU_MATTERS,
          flips=(
              Flip("kernel.options", NOTED_OPTION, None, "option:intel_iommu=off"),
              Flip("kernel.options", None, NOTED_OPTION, "option:intel_iommu=on"),
              Flip("iommu.mode", DMAR_UNUSED, ("pass", "info", "VT-d on, groups: 4 DMA-FQ")),
              Flip("iommu.mode", DMAR_UNUSED, ("warn", "warning", "VT-d on, groups: 4 DMA-FQ"),
                   purpose="multi-gpu"),
              Flip("iommu.mode", DMAR_WANTED, ("pass", "none", "VT-d on, groups: 4 DMA-FQ"),
                   purpose="vfio-host"),
          )),
    State("vt-d-passthrough", "VT-d with identity groups", "vt-d-off", machine=VT_D,
          qemu=(*PRESENTED, REMAPPING), options=("intel_iommu=on", "iommu=pt"), purposes=IOMMU_MATTERS,
          flips=(
              Flip("kernel.options", NOTED_OPTION, None, "option:intel_iommu=off"),
              Flip("kernel.options", None, NOTED_OPTION, "option:intel_iommu=on"),
              Flip("kernel.options", None, NOTED_OPTION, "option:iommu=pt"),
              Flip("iommu.mode", DMAR_UNUSED, ("pass", "none", "VT-d on, groups: 4 identity")),
              Flip("iommu.mode", DMAR_WANTED, ("pass", "none", "VT-d on, groups: 4 identity"),
                   purpose="vfio-host"),
          )),
    State("vt-d-strict", "VT-d translates and flushes at once", "vt-d-off", machine=VT_D,
          qemu=(*PRESENTED, REMAPPING), options=("intel_iommu=on", "iommu.strict=1"), purposes=IOMMU_MATTERS,
          flips=(
              Flip("kernel.options", NOTED_OPTION, None, "option:intel_iommu=off"),
              Flip("kernel.options", None, NOTED_OPTION, "option:intel_iommu=on"),
              Flip("iommu.mode", DMAR_UNUSED, ("pass", "info", "VT-d on, groups: 4 DMA")),
              Flip("iommu.mode", DMAR_UNUSED, ("warn", "warning", "VT-d on, groups: 4 DMA"),
                   purpose="multi-gpu"),
              Flip("iommu.mode", DMAR_WANTED, ("pass", "none", "VT-d on, groups: 4 DMA"),
                   purpose="vfio-host"),
          )),
    State("amd", "an AMD processor, no IOMMU", cpu="EPYC-Rome,-hypervisor"),
    State("amd-vi", "AMD-Vi translates", "amd", cpu="EPYC-Rome,-hypervisor",
          qemu=(*PRESENTED, "-device amd-iommu"), purposes=IOMMU_MATTERS,
          flips=(
              Flip("iommu.interrupt-remapping", NOT_APPLICABLE, ("pass", "none", "offered")),
              Flip("iommu.mode", NO_TABLE, ("pass", "info", "AMD-Vi on, groups: 4 DMA")),
              Flip("iommu.mode", NO_TABLE, ("warn", "warning", "AMD-Vi on, groups: 4 DMA"),
                   purpose="multi-gpu"),
              Flip("iommu.mode", ("fail", "blocking", "no table of an IOMMU"),
                   ("pass", "none", "AMD-Vi on, groups: 4 DMA"), purpose="vfio-host"),
          )),
    State("amd-vi-off", "AMD-Vi in the firmware, the kernel told to leave it", "amd-vi",
          cpu="EPYC-Rome,-hypervisor", qemu=(*PRESENTED, "-device amd-iommu"), options=("amd_iommu=off",),
          purposes=IOMMU_MATTERS,
          flips=(
              Flip("kernel.options", PLAIN_LINE, None),
              Flip("kernel.options", None, NOTED_OPTION, "option:amd_iommu=off"),
              Flip("iommu.mode", ("pass", "info", "AMD-Vi on, groups: 4 DMA"), IVRS_UNUSED),
              Flip("iommu.mode", ("warn", "warning", "AMD-Vi on, groups: 4 DMA"), IVRS_UNUSED,
                   purpose="multi-gpu"),
              Flip("iommu.mode", ("pass", "none", "AMD-Vi on, groups: 4 DMA"),
                   ("fail", "blocking", "table IVRS, no active unit"), purpose="vfio-host"),
          )),
    State("big-bar", "a device with a BAR of 8 GiB, placed above 4 GiB", "bios",
          qemu=(*PRESENTED, "-device pci-testdev,membar=8G")),
    State("big-bar-unplaced", "the same, and no addresses above 4 GiB", "big-bar",
          cpu=f"{PLAIN},phys-bits=32", qemu=(*PRESENTED, "-device pci-testdev,membar=8G"),
          flips=(
              Flip("pci.above-4g", ("pass", "none", "a window of 32 GiB"), None),
              Flip("pci.above-4g", None, ("warn", "warning", "BAR 2 unassigned"), "pci:0000:00:01.0"),
          )),
    State("display", "a display with a BAR of 8 GiB, placed above 4 GiB", "bios",
          qemu=(*PRESENTED, "-device qxl,vram64_size_mb=8192")),
    State("display-unplaced", "the same, and no addresses above 4 GiB", "display",
          cpu=f"{PLAIN},phys-bits=32", qemu=(*PRESENTED, "-device qxl,vram64_size_mb=8192"),
          flips=(
              Flip("pci.above-4g", ("pass", "none", "a window of 32 GiB"), None),
              Flip("pci.above-4g", None, ("fail", "blocking", "BAR 4 unassigned"), "pci:0000:00:01.0"),
          )),
    State("two-nodes", "an NVMe controller with virtual functions, in a slot of 16 lanes of the second node",
          "bios", qemu=(*PRESENTED, *TWO_NODES, *NVME)),
    State("two-cores", "two cores of one thread each", cpu="Nehalem,-hypervisor", smp="2,cores=2,threads=1"),
    State("smt", "two cores of two threads each", "two-cores", cpu="Nehalem,-hypervisor",
          smp="4,cores=2,threads=2",
          flips=(
              Flip("cpu.limits", ("pass", "none", "2 processors"), ("pass", "none", "4 processors")),
              Flip("cpu.smt", ("pass", "none", "notsupported"), ("pass", "none", "on")),
          )),
    State("two-modules", "two memory modules of 1 GiB in four sockets", memory="2048", machine=NEW_SMBIOS,
          tables=(smbios.bios(uefi=False), *smbios.memory(2, 4, 1024))),
    State("one-module", "one memory module of 1 GiB in four sockets", "two-modules", memory="2048",
          machine=NEW_SMBIOS, tables=(smbios.bios(uefi=False), *smbios.memory(1, 4, 1024)),
          flips=(
              Flip("memory.channels", ("unknown", "none", "2 of 4 sockets populated"),
                   ("warn", "warning", "1 of 4 sockets populated")),
          )),
    State("guest", "the same machine, and the processor says that it is a guest", "bios", cpu="qemu64",
          flips=(
              Flip("boot.fast-boot", ("unknown", "none", ""), NOT_APPLICABLE),
              Flip("cpu.governor", ("pass", "none", "no governor"), NOT_APPLICABLE),
              Flip("cpu.idle-states", ("pass", "info", "none"), NOT_APPLICABLE),
              Flip("cpu.virtualization", ("pass", "none", "on"), NOT_APPLICABLE),
              Flip("memory.channels", ("warn", "warning", "1 of 1 sockets populated"), NOT_APPLICABLE),
              Flip("memory.ecc", ("unknown", "none", "multi-bit"), NOT_APPLICABLE),
              Flip("memory.speed", ("unknown", "none", ""), NOT_APPLICABLE),
          )),
)  # fmt: skip


def named(name: str) -> State:
    """The state of that name."""
    for state in STATES:
        if state.name == name:
            return state
    raise LabError(f"no such state: {name}", f"one of: {', '.join(state.name for state in STATES)}")
