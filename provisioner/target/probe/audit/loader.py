"""What starts this machine's kernel: what it says itself, otherwise the files that a loader leaves."""

from __future__ import annotations

from typing import Tuple

from .. import efi
from ..box import Box, Malformed
from . import readings
from .readings import Reading

BOOT_PARAMS = "/sys/kernel/boot_params/data"
# type_of_loader of x86's boot protocol (Documentation/arch/x86/boot.rst); its high four bits name the loader.
LOADER_AT = 0x210
# 0x2 is the kernel's own EFI stub, which any loader may call: it tells nothing.
NUMBERS = {0x3: "syslinux", 0x7: "grub", 0xB: "hypervisor"}
# The first that is there. Fedora's GRUB reads /boot/loader/entries too, so that GRUB's own files come first;
# only systemd-boot has a loader.conf.
FILES: Tuple[Tuple[str, str], ...] = (
    ("/boot/firmware/cmdline.txt", "raspberry"),
    ("/boot/efi/loader/loader.conf", "systemd-boot"),
    ("/efi/loader/loader.conf", "systemd-boot"),
    ("/boot/loader/loader.conf", "systemd-boot"),
    ("/boot/grub/grub.cfg", "grub"),
    ("/boot/grub2/grub.cfg", "grub"),
    ("/etc/default/grub", "grub"),
    ("/boot/extlinux/extlinux.conf", "extlinux"),
    ("/boot/syslinux/syslinux.cfg", "syslinux"),
    ("/etc/zipl.conf", "zipl"),
    ("/boot/loader/entries", "systemd-boot"),
    ("/etc/kernel/cmdline", "systemd-boot"),
)


def loader(box: Box) -> Reading:
    """`Firmware.loader`: grub, systemd-boot, …, "hypervisor" where it starts a guest's kernel itself."""
    said = readings.from_file(box, efi.LOADER_INFO, efi.text, "")
    if said["state"] == "read":  # "systemd-boot 254.5-1", "GRUB 2.12"
        return readings.read(said["value"].split()[0].lower(), efi.LOADER_INFO)
    number = boot_param(box, LOADER_AT)
    named = NUMBERS.get((number["value"] or 0) >> 4)
    if named:
        return readings.read(named, BOOT_PARAMS, LOADER_AT)
    for path, name in FILES:
        if box.there(path):
            return readings.read(name, path)
    return readings.absent("no boot loader that is known left its files here", "/boot")


def boot_param(box: Box, at: int) -> Reading:
    """A byte of what the boot loader handed to an x86 kernel."""

    def parse(content: bytes) -> int:
        if at >= len(content):
            raise Malformed("it has %d bytes, and ends before byte 0x%x" % (len(content), at))
        return content[at]

    found = readings.from_file(box, BOOT_PARAMS, parse, "only kernels of x86 tell how they were started")
    return {**found, "offset": at}
