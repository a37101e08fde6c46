"""Emulated kernels: modinfo as kmod 30 answers for them, and the lists that a kernel's package brings."""

from __future__ import annotations

from pathlib import Path

from .boxes import FakeBox

RUNNING, NEXT = "6.1.0-1-amd64", "6.1.0-2-amd64"
# What `modinfo -0 -p` said of modules of Debian's 6.1.0-56-cloud-amd64 (nvme, kvm-intel), and of NVIDIA's.
NVME = (
    "use_threaded_interrupts: (int)\0use_cmb_sqes:use controller's memory buffer for I/O SQes (bool)\0"
    "max_host_mem_size_mb:Maximum Host Memory Buffer (HMB) size per controller (in MiB) (uint)\0"
    "io_queue_depth:set io queue depth, should >= 2 and < 4096\0"
)
KVM_INTEL = "sgx: (bool)\0nested: (bool)\0vpid: (bool)\0ple_gap: (uint)\0"
NVIDIA = (
    "NVreg_PreserveVideoMemoryAllocations: (int)\0NVreg_RegistryDwords: (charp)\0"
    "rm_list:many\nlines (array of int)\0"
)
MODULES = {
    "nvme": NVME,
    "kvm-intel": KVM_INTEL,
    "nvidia-current": NVIDIA,
    "fat": "",
    "nouveau": "modeset: (int)\0",
}
# Debian calls the module so, and the kernel knows it by another name.
NAMES = {"nvidia-current": "nvidia", "kvm-intel": "kvm_intel"}
BUILT_IN = (
    "processor.parmtype=max_cstate:uint\0processor.parm=ignore_ppc:If the frequency\0processor.license=GPL\0"
)


def machine(root: Path, has: dict[str, dict[str, str]] | None = None) -> FakeBox:
    """A machine of Debian that runs one kernel and has two. `has`: modules by release."""
    box = FakeBox(root)
    found = {RUNNING: MODULES, NEXT: MODULES} if has is None else has
    for release in found:
        box.kernel(release)
        listed = "".join(f"kernel/drivers/x/{name}.ko:\n" for name in found[release])
        box.write(f"/lib/modules/{release}/modules.dep", listed)
        box.write(
            f"/lib/modules/{release}/modules.builtin",
            "kernel/drivers/acpi/processor.ko\nkernel/crypto/aes.ko\n",
        )
        box.write(f"/lib/modules/{release}/modules.builtin.modinfo", BUILT_IN)
    box.write("/proc/sys/kernel/osrelease", RUNNING + "\n")
    box.write("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro quiet\n")
    boot(box, "first")

    def modinfo(*argv: str) -> tuple[int, list[str]]:
        release, name = argv[1], argv[-1].replace("_", "-")
        if name == "processor":
            return 0, ["(builtin)" if "filename" in argv else "processor"]
        if name not in found[release]:
            return 1, [f"modinfo: ERROR: Module {argv[-1]} not found."]
        if "-p" in argv:
            return 0, found[release][name].split("\n")
        field = argv[argv.index("-F") + 1]
        return 0, [f"/lib/modules/{release}/x/{name}.ko.xz" if field == "filename" else NAMES.get(name, name)]

    box.program("modinfo", modinfo)
    return box


def boot(box: FakeBox, identity: str) -> None:
    """The boot that the machine says it is in."""
    box.write("/proc/sys/kernel/random/boot_id", identity + "\n")


def load(box: FakeBox, module: str, parameters: dict[str, str], *, used: int = 0, mode: int = 0o444) -> None:
    """Put a module into the emulated kernel."""
    box.write(f"/sys/module/{module}/refcnt", f"{used}\n")
    for name, value in parameters.items():
        file = box.write(f"/sys/module/{module}/parameters/{name}", value + "\n")
        file.chmod(mode)
