"""The whole command line of a machine."""

from __future__ import annotations

from pathlib import Path

from tests.vm.command import qemu, tables
from tests.vm.image import Image
from tests.vm.states import State

MADE, HOME = Image(Path("/made")), Path("/vms/box")
COMMON = (
    "qemu-system-x86_64 -name provision-vm-box -nodefaults -no-reboot -display none"
    " -serial file:/vms/box/console.log -accel tcg,thread=single"
)
DISK = (
    "-drive file=/made/root.ext4,if=none,id=disk,format=raw,snapshot=on"
    " -device virtio-blk-pci,drive=disk,bus=pcie.0,addr=0x1d"
    " -netdev user,id=net,hostfwd=tcp:127.0.0.1:30001-:22"
    " -device virtio-net-pci,netdev=net,bus=pcie.0,addr=0x1e"
)


def test_a_machine_with_seabios() -> None:
    state = State("x", "", machine="kernel-irqchip=split", qemu=("-device intel-iommu,intremap=on",),
                  options=("iommu=pt",), cpu="qemu64", smp="2", memory="512",
                  tables=(b"a", b"b"))  # fmt: skip
    argv = qemu(state, MADE, HOME, 30001)
    options = "root=/dev/vda rw console=ttyS0 panic=-1 net.ifnames=0 no_timer_check iommu=pt"
    assert options in argv
    assert " ".join(argv) == (
        f"{COMMON} -M q35,kernel-irqchip=split -cpu qemu64 -smp 2 -m 512 {DISK}"
        f" -kernel /made/vmlinuz -initrd /made/initrd -append {options}"
        " -smbios file=/vms/box/smbios-0.bin -smbios file=/vms/box/smbios-1.bin"
        " -device intel-iommu,intremap=on"
    )


def test_a_machine_with_uefi_boots_the_signed_kernel_and_has_variables_of_its_own() -> None:
    argv = qemu(State("x", "", firmware="secure-boot", qemu=(), tables=()), MADE, HOME, 30001)
    assert " ".join(argv) == (
        f"{COMMON} -M q35,smm=on -cpu qemu64,-hypervisor -smp 1 -m 1024"
        " -global driver=cfi.pflash01,property=secure,value=on"
        " -drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
        f" -drive if=pflash,format=raw,unit=1,file=/vms/box/variables.fd {DISK}"
        " -kernel /made/vmlinuz.signed -initrd /made/initrd"
        " -append root=/dev/vda rw console=ttyS0 panic=-1 net.ifnames=0 no_timer_check"
    )


def test_each_structure_has_a_file() -> None:
    found = tables(State("x", "", tables=(b"a", b"b")), HOME)
    assert found == {HOME / "smbios-0.bin": b"a", HOME / "smbios-1.bin": b"b"}
