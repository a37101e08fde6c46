"""QEMU's command line for a state."""

from __future__ import annotations

from pathlib import Path

from .firmware import CODE, store
from .image import Image
from .states import State

# KVM would be quicker and cannot nest everywhere; one thread on one core is what every machine has.
EMULATION = "tcg,thread=single"
# What every kernel here is told. ttyS0 is the log; one that panics ends at once instead of hanging; the
# network's name is the one that the image sets up. A kernel that sees no hypervisor gives the timer 40 ms for
# four ticks and panics without them ("timer doesn't work through Interrupt-remapped IO-APIC"): a busy host
# holds QEMU up for longer.
OPTIONS = "rw console=ttyS0 panic=-1 net.ifnames=0 no_timer_check"


def qemu(state: State, made: Image, home: Path, port: int) -> list[str]:
    """The whole command line. What the machine writes goes to an anonymous file and is gone with it."""
    uefi = state.firmware != "bios"
    chipset = ["q35", *(["smm=on"] if uefi else []), *([state.machine] if state.machine else [])]
    return [
        "qemu-system-x86_64",
        *("-name", f"provision-vm-{home.name}"),
        *("-nodefaults", "-no-reboot", "-display", "none"),
        *("-serial", f"file:{home / 'console.log'}"),
        *("-accel", EMULATION),
        *("-M", ",".join(chipset)),
        *("-cpu", state.cpu),
        *("-smp", state.smp),
        *("-m", state.memory),
        *(_pflash(home) if uefi else []),
        *("-drive", f"file={made.disk},if=none,id=disk,format=raw,snapshot=on"),
        *("-device", "virtio-blk-pci,drive=disk,bus=pcie.0,addr=0x1d"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=net,bus=pcie.0,addr=0x1e"),
        *("-kernel", str(made.signed if uefi else made.kernel)),
        *("-initrd", str(made.initrd)),
        *("-append", " ".join(("root=/dev/vda", OPTIONS, *state.options))),
        *(word for path in tables(state, home) for word in ("-smbios", f"file={path}")),
        *(word for argument in state.qemu for word in argument.split(" ", 1)),
    ]


def tables(state: State, home: Path) -> dict[Path, bytes]:
    """The structures of the state's SMBIOS, by the file that QEMU reads each from."""
    return {home / f"smbios-{number}.bin": content for number, content in enumerate(state.tables)}


def _pflash(home: Path) -> list[str]:
    """Variables that only firmware in system management mode may write, as Secure Boot needs them."""
    return [
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={store(home)}"),
    ]
