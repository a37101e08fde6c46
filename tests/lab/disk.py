"""A small disk of a machine's own, so that running out of space is real.

One ext4 file system holds both folders the product fills, as one small disk would; it is a loop mount
rather than a tmpfs because a tmpfs would come back empty after a reboot.
"""

from __future__ import annotations

from pathlib import Path

from .process import LabError, run

FOLDERS = {"opt": "/opt", "provisioner": "/var/lib/provisioner"}


def make(home: Path, size: str) -> None:
    """Make the file system (`size` as truncate(1) reads it: 300M, 2G) below `home`, and mount it."""
    image, mount = home / "disk.ext4", home / "disk"
    run(["truncate", f"--size={size.upper()}", str(image)])
    run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)])
    mount.mkdir()
    attach(home)
    for folder in FOLDERS:
        (mount / folder).mkdir()


def attach(home: Path) -> None:
    """Mount the machine's disk when it has one that is not mounted (this host was restarted)."""
    image, mount = home / "disk.ext4", home / "disk"
    if image.is_file() and not mount.is_mount():
        run(["mount", "-o", "loop", str(image), str(mount)])


def detach(home: Path) -> None:
    """Unmount the machine's disk, so that its folder can be removed."""
    mount = home / "disk"
    if mount.is_mount():
        run(["umount", str(mount)])
    if mount.is_mount():
        raise LabError(f"{mount} is still mounted", f"umount {mount}")


def volumes(home: Path) -> list[str]:
    """Docker's arguments that put the disk under the machine's folders."""
    return [f"--volume={home / 'disk' / folder}:{target}" for folder, target in FOLDERS.items()]
