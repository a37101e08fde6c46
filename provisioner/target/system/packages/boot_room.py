"""What a change of packages needs on /boot, where a full one leaves a machine that does not start."""

from __future__ import annotations

import os
from typing import List, Tuple

from ...probe.box import MISSING, Box
from .base import Change, matching

BOOT = "/boot"
# Packages after which initial ram disks are made anew, one after the other, each beside the one it replaces.
_RAM_DISK = (
    "linux-image-*", "linux-modules-*", "*-dkms", "dkms", "nvidia-*", "initramfs-tools*", "dracut*",
    "firmware-*", "linux-firmware*", "*-microcode", "plymouth*", "cryptsetup-initramfs",
)  # fmt: skip
_KERNEL = ("linux-image-[0-9]*",)
_DISKS = ("initrd.img-", "initramfs-", "initrd-")


def needs(box: Box, change: Change) -> List[Tuple[str, int]]:
    """[(folder, bytes)]: a ram disk and a half, and one more with a kernel, for each kernel that comes.

    The half is for modules that the new ones have in them; sizes are those of what is there now.
    """
    coming = [*change.installs, *change.replaces]
    if not matching(coming, _RAM_DISK):
        return []
    try:
        names = os.listdir(box.path(BOOT))
    except OSError as error:
        if error.errno in MISSING:
            return []
        raise
    disks = [_size(box, name) for name in names if name.startswith(_DISKS)]
    kernels = [_size(box, name) for name in names if name.startswith("vmlinuz")]
    largest = max(disks, default=0)
    new = len(matching(coming, _KERNEL))
    return [(box.path(BOOT), int(largest * 1.5) + new * (largest + max(kernels, default=0)))]


def _size(box: Box, name: str) -> int:
    path = box.path(BOOT + "/" + name)
    return os.path.getsize(path) if os.path.isfile(path) else 0
