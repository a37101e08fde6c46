"""Whose guest this machine is: processor, firmware names and ACPI combined, for each of them alone lies.

A hypervisor may hide itself from CPUID (as is done for GPUs that are passed on), names in DMI can be set to
anything, and systemd-detect-virt took a machine made from a container image for a container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Tuple

from . import cpuid, readings, smbios_table
from .readings import Malformed, Reading

if TYPE_CHECKING:
    from .sight import Sight

OTHER = "other"
# What CPUID 0x40000000 says, as systemd's virt.c lists them; "Linux KVM Hv" is KVM that plays Hyper-V.
SIGNATURES = {
    "KVMKVMKVM": "kvm",
    "Linux KVM Hv": "kvm",
    "TCGTCGTCGTCG": "qemu",
    "VMwareVMware": "vmware",
    "Microsoft Hv": "microsoft",
    "XenVMMXenVMM": "xen",
    "bhyve bhyve ": "bhyve",
    "ACRNACRNACRN": "acrn",
    "QNXQVMBSQG": "qnx",
    "Apple VZ": "apple",
    "prl hyperv  ": "parallels",
    " lrpepyh vr": "parallels",
    "VBoxVBoxVBox": "oracle",
}
# How names in DMI begin, as in the same file. "Oracle Corporation" and "Microsoft Corporation" are left out:
# they make machines too.
NAMES = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
)
DMI = "/sys/class/dmi/id/"
FIELDS = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
FACP = "/sys/firmware/acpi/tables/FACP"
DEVICE_TREE = "/proc/device-tree/hypervisor/compatible"
CPUINFO = "/proc/cpuinfo"
# These run on KVM and tell more of a guest than that it is KVM's.
ON_KVM = ("oracle", "parallels")


def virtualization(sight: Sight) -> Reading:
    """ "none", the hypervisor's name, or "other" where only that there is one is known."""
    if owns_hardware(sight):
        return readings.read("none", "this system runs the hypervisor")
    named = names(sight)
    below, source = processor(sight)
    if below:
        if below == "kvm" and firecracker(sight):
            return readings.read("firecracker", FACP)
        if named and (below == OTHER or (below == "kvm" and named[0] in ON_KVM)):
            return readings.read(*named)
        return readings.read(below, source)
    if named:
        return readings.read(*named)
    if device_tree(sight):
        return readings.read(device_tree(sight), DEVICE_TREE)
    if machine_bit(sight):
        return readings.read(OTHER, smbios_source(sight), 0x13)
    if below == "":
        return readings.read("none", source)
    if sight.box.there(DMI + "sys_vendor"):
        return readings.read("none", DMI + "sys_vendor")  # Arm's servers have SMBIOS, and it names no guest
    return readings.hidden("neither the processor nor the firmware tells", source)


def processor(sight: Sight) -> Tuple[Optional[str], str]:
    """What the processor says of a hypervisor, "" when there is none, None when it does not tell; and
    where.
    """
    if sight.processor:
        signature = cpuid.hypervisor(sight.processor.leaves)
        if signature is None:
            return "", "CPUID 1.ECX"
        return SIGNATURES.get(signature, OTHER), "CPUID 0x40000000"
    flags = sight.facts["cpu"]["flags"]
    if "hypervisor" in flags:
        return OTHER, CPUINFO
    # Arm's features (asimd, …) never tell of a hypervisor; every x86 has an FPU.
    return ("" if "fpu" in flags else None), CPUINFO


def names(sight: Sight) -> Optional[Tuple[str, str]]:
    """A hypervisor that DMI names, and the file; None when none is."""
    for field in FIELDS:
        text = (sight.box.peek("audit.sight", DMI + field) or "").strip()
        for begin, kind in NAMES:
            if text.startswith(begin):
                if kind == "amazon" and ".metal" in (
                    sight.box.peek("audit.sight", DMI + "product_name") or ""
                ):
                    return None  # Amazon's machines without a hypervisor have the same names
                return kind, DMI + field
    return None


def firecracker(sight: Sight) -> bool:
    """Whether ACPI's table was made by Firecracker: its maker stands at byte 10."""
    found = sight.root_file(FACP, lambda content: content[10:16], "")
    return bool(found["value"] == b"FIRECK")


def device_tree(sight: Sight) -> str:
    """The hypervisor in the device tree of an Arm machine; "" when there is none."""
    text = sight.box.peek("audit.sight", DEVICE_TREE) or ""
    for part, kind in (("linux,kvm", "kvm"), ("xen", "xen"), ("vmware", "vmware")):
        if part in text:
            return kind
    return OTHER if text else ""


def machine_bit(sight: Sight) -> bool:
    """Whether SMBIOS says that this is a virtual machine; many virtual machines do not say so."""
    table = sight.smbios
    if table["state"] != "read":
        return False
    try:
        return bool(smbios_table.characteristic(table["value"], 4))
    except Malformed:
        return False  # Section firmware reads the same structure, and says what is wrong with it


def smbios_source(sight: Sight) -> str:
    """The file of the SMBIOS table."""
    return str(sight.smbios["source"])


def owns_hardware(sight: Sight) -> bool:
    """Whether this is the system that a hypervisor lets drive the machine: Xen's dom0, Hyper-V's root."""
    if "control_d" in (sight.box.peek("audit.sight", "/proc/xen/capabilities") or ""):
        return True
    return sight.processor is not None and cpuid.root_partition(sight.processor.leaves)
