"""Whose guest a machine is: no source of it is believed alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.probe.audit import hypervisor
from provisioner.target.probe.audit.sight import DMI, Sight
from tests.recorded import NAMES, unpack

from .conftest import NO_CAPABILITIES, See, sight_of
from .processors import ZEN_2, Emulated, guest
from .tables import END, bios, structure

Files = dict[str, str | bytes]
ID = "/sys/class/dmi/id/"
CPU = "processor\t: 0\nmodel name\t: x\nphysical id\t: 0\ncore id\t\t: 0\n"
BARE: Files = {"/proc/cpuinfo": CPU + "flags\t\t: fpu vme\n"}
GUEST: Files = {"/proc/cpuinfo": CPU + "flags\t\t: fpu vme hypervisor\n"}
ARM: Files = {"/proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nFeatures\t: fp asimd\n"}
SUPERMICRO: Files = {ID + "sys_vendor": "Supermicro\n", ID + "product_name": "Super Server\n"}
QEMU: Files = {ID + "sys_vendor": "QEMU\n", ID + "product_name": "Standard PC (Q35 + ICH9, 2009)\n"}
FACP = b"FACP" + bytes(6) + b"FIRECKFCVMFADT"
KVM = guest("KVMKVMKVM")

# Files and the processor (None: none to ask, as in a recorded tree); the answer and where it came from.
CASES: dict[str, tuple[Files, Emulated | None, str | None, str]] = {
    "bare metal": ({**BARE, **SUPERMICRO}, ZEN_2, "none", "CPUID 1.ECX"),
    "bare metal, recorded": ({**BARE, **SUPERMICRO}, None, "none", "/proc/cpuinfo"),
    "KVM": ({**GUEST, **QEMU}, KVM, "kvm", "CPUID 0x40000000"),
    "KVM that plays Hyper-V": (QEMU, guest("Linux KVM Hv"), "kvm", "CPUID 0x40000000"),
    "KVM that hides from the processor": ({**BARE, **QEMU}, ZEN_2, "qemu", ID + "sys_vendor"),
    "KVM, recorded": ({**GUEST, **QEMU}, None, "qemu", ID + "sys_vendor"),
    "KVM that hides, and lies in its names": (
        {**BARE, **SUPERMICRO, DMI: bios(0x10) + END},
        ZEN_2,
        "other",
        DMI,
    ),
    "names of another machine, recorded": ({**GUEST, **SUPERMICRO}, None, "other", "/proc/cpuinfo"),
    "QEMU without KVM": (QEMU, guest("TCGTCGTCGTCG"), "qemu", "CPUID 0x40000000"),
    "Firecracker": ({hypervisor.FACP: FACP}, KVM, "firecracker", hypervisor.FACP),
    "Firecracker, not root": (
        {hypervisor.FACP: FACP, "/proc/self/status": NO_CAPABILITIES},
        KVM,
        "kvm",
        "CPUID 0x40000000",
    ),
    "VirtualBox on KVM": ({ID + "product_name": "VirtualBox\n"}, KVM, "oracle", ID + "product_name"),
    "VMware": ({}, guest("VMwareVMware"), "vmware", "CPUID 0x40000000"),
    "Xen": ({}, guest("XenVMMXenVMM"), "xen", "CPUID 0x40000000"),
    "Xen's own system": (
        {"/proc/xen/capabilities": "control_d\n"},
        guest("XenVMMXenVMM"),
        "none",
        "this system runs the hypervisor",
    ),
    "Xen's guest": ({"/proc/xen/capabilities": "\n"}, guest("XenVMMXenVMM"), "xen", "CPUID 0x40000000"),
    "Hyper-V": ({}, guest("Microsoft Hv"), "microsoft", "CPUID 0x40000000"),
    "Hyper-V's own system": (
        {},
        guest("Microsoft Hv", x40000003=(0, 1 << 12, 0, 0)),
        "none",
        "this system runs the hypervisor",
    ),
    "a hypervisor nobody knows": ({}, guest("NewNewNewNew"), "other", "CPUID 0x40000000"),
    "a hypervisor nobody knows, that DMI names": (
        {ID + "bios_vendor": "BHYVE\n"},
        guest("NewNewNewNew"),
        "bhyve",
        ID + "bios_vendor",
    ),
    "Amazon on Arm": ({**ARM, ID + "sys_vendor": "Amazon EC2\n"}, None, "amazon", ID + "sys_vendor"),
    "Amazon's bare metal": (
        {**BARE, ID + "sys_vendor": "Amazon EC2\n", ID + "product_name": "m5.metal\n"},
        ZEN_2,
        "none",
        "CPUID 1.ECX",
    ),
    "a Surface": ({**BARE, ID + "sys_vendor": "Microsoft Corporation\n"}, ZEN_2, "none", "CPUID 1.ECX"),
    "an Arm server": ({**ARM, ID + "sys_vendor": "GIGABYTE\n"}, None, "none", ID + "sys_vendor"),
    "an Arm guest": (
        {**ARM, hypervisor.DEVICE_TREE: "linux,kvm\0"},
        None,
        "kvm",
        hypervisor.DEVICE_TREE,
    ),
    "an Arm guest of another": (
        {**ARM, hypervisor.DEVICE_TREE: "x\0"},
        None,
        "other",
        hypervisor.DEVICE_TREE,
    ),
    "an Arm board": (ARM, None, None, "/proc/cpuinfo"),
    "a table that makes no sense": (
        {**BARE, DMI: structure(0, b"") + END},
        ZEN_2,
        "none",
        "CPUID 1.ECX",
    ),
    "nothing at all": ({}, None, None, "/proc/cpuinfo"),
}


@pytest.mark.parametrize("name", CASES)
def test_emulated_machines(see: See, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, processor, kind, source = CASES[name]
    monkeypatch.setattr(Sight, "processor", processor)
    found = see(files).virtualization
    state = "read" if kind else "hidden"
    assert (found["state"], found["value"], found["source"]) == (state, kind, source)


def test_every_signature_and_every_name_is_known_by_what_it_is() -> None:
    kinds = set(hypervisor.SIGNATURES.values()) | {kind for _, kind in hypervisor.NAMES}
    assert "none" not in kinds
    assert hypervisor.OTHER not in kinds


def test_the_recorded_machines_are_guests(tmp_path: Path) -> None:
    found = {name: sight_of(unpack(name, tmp_path / name)).virtualization["value"] for name in NAMES}
    # One of them was given a board's names; the processor's flag still tells.
    assert found == {name: "other" if name == "q35-smt-dmi" else "qemu" for name in NAMES}
