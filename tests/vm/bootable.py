"""A disk that boots by itself: GRUB, its own kernel and initramfs, and a card that is none (standin/).

Made once, then copied for each machine, which keeps what is written to it over its restarts. GRUB is started
by QEMU (`-kernel`, as a Linux image), and reads its menu, its environment and all else from the disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab import cache, users
from tests.lab import image as lab_image
from tests.lab.process import LabError, run

from . import image, packages
from .command import OPTIONS

DISK_BYTES = 1100 << 20
# Here the restart itself, modules of the system's own and what is mounted are what is tested.
MASKED = tuple(
    unit
    for unit in image.MASKED
    if unit not in ("systemd-modules-load.service", "systemd-remount-fs.service")
)
GRUB_MODULES = (
    "biosdisk", "ext2", "linux", "normal", "configfile", "search", "search_fs_uuid", "search_label", "serial",
    "test", "echo", "loadenv", "gzio", "minicmd", "part_msdos", "part_gpt", "reboot", "sleep", "terminal",
    "true", "regexp", "probe",
)  # fmt: skip
FILES = {
    "etc/fstab": "/dev/vda / ext4 rw 0 1\n",
    "etc/default/grub": (
        "GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_DISABLE_OS_PROBER=true\n"
        'GRUB_TERMINAL=serial\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
        f'GRUB_CMDLINE_LINUX="{OPTIONS}"\n'
    ),
    "etc/apt/sources.list.d/debian.sources": (
        f"Types: deb\nURIs: http://{packages.HOST}/debian\nSuites: trixie\n"
        "Components: main contrib non-free non-free-firmware\nTrusted: yes\n"
    ),
}
# The menu until GRUB's own tools write theirs, in the machine.
MENU = (
    "serial --unit=0\nterminal_input serial\nterminal_output serial\nset timeout=0\n"
    "menuentry Debian {{\n  linux /boot/vmlinuz-{release} root=/dev/vda {line}\n"
    "  initrd /boot/initrd.img-{release}\n}}\n"
)
HOOK = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules nouveau
"""
# In the root file system: $1 is its folder, $2 what is laid over it, $3 GRUB as QEMU starts it.
SCRIPT = f"""
set -eu
release=$(ls "$1"/usr/lib/modules)
printf 'fakegpu\\n' >> "$1"/etc/initramfs-tools/modules
printf '%s' '{HOOK}' > "$1"/etc/initramfs-tools/hooks/nouveau
chmod 755 "$1"/etc/initramfs-tools/hooks/nouveau
# Headers that are here, so that none are asked for: the modules come built.
mkdir -p "$1"/usr/src/linux-headers-"$release"
: > "$1"/usr/src/linux-headers-"$release"/Makefile
ln -sfn /usr/src/linux-headers-"$release" "$1"/usr/lib/modules/"$release"/build
chroot "$1" depmod "$release"
chroot "$1" update-initramfs -u -k all
mkdir -p "$1"/boot/grub/i386-pc
cp "$1"/usr/lib/grub/i386-pc/*.mod "$1"/usr/lib/grub/i386-pc/*.lst "$1"/boot/grub/i386-pc
chroot "$1" grub-mkimage -O i386-pc -p '(hd0)/boot/grub' -o /core.img {" ".join(GRUB_MODULES)}
cat "$1"/usr/lib/grub/i386-pc/lnxboot.img "$1"/core.img > "$3"
rm "$1"/core.img
chroot "$1" grub-editenv /boot/grub/grubenv create
"""


@dataclass(frozen=True, slots=True)
class Bootable:
    """What a machine that restarts begins with."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.ext4"

    @property
    def grub(self) -> Path:
        """GRUB, as a kernel that QEMU loads."""
        return self.folder / "grub.lnx"

    @property
    def built(self) -> Path:
        """The stand-in's modules, by version of the driver."""
        return self.folder / "built"

    @property
    def login(self) -> image.Image:
        """The keys that lead in."""
        return image.Image(self.folder)

    @property
    def release(self) -> str:
        """The kernel's."""
        return (self.folder / "release").read_text().strip()


def recipe() -> lab_image.Recipe:
    """The lab's own fresh Debian, with the kernel for virtual machines and GRUB's tools."""
    plain = lab_image.recipe(image.RELEASE, (), *lab_image.configured_mirrors())
    modules = "".join(f"{name}\\n" for name in image.EARLY)
    hooks = (
        'rm -rf "$1"/usr/share/doc "$1"/usr/share/locale "$1"/usr/share/man',
        f"printf '{modules}' > \"$1\"/etc/initramfs-tools/modules",
        'sed -i "s/^MODULES=.*/MODULES=list/" "$1"/etc/initramfs-tools/initramfs.conf',
    )
    more = (
        "linux-image-cloud-amd64",
        "initramfs-tools",
        "zstd",
        "grub-common",
        "grub2-common",
        "grub-pc-bin",
    )
    return replace(plain, packages=(*plain.packages, *more), hooks=(*hooks, *plain.hooks))


def key_of(wanted: lab_image.Recipe) -> str:
    """A digest of everything that decides what is on the disk."""
    people = [users.script(person) for person in image.PEOPLE]
    parts = [
        wanted.key,
        DISK_BYTES,
        people,
        MASKED,
        image.FILES,
        FILES,
        SCRIPT,
        image.SCRIPT,
        packages.digest(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def ensure() -> Bootable:
    """The disk, made when it is not there (two minutes)."""
    wanted = recipe()
    made = Bootable(cache.root() / "vm-images" / f"boots-{key_of(wanted)}")
    if made.folder.is_dir():
        return made
    with cache.lock(f"vm-image-{made.folder.name}"):
        if not made.folder.is_dir():
            _make(wanted, made.folder)
    return made


def _make(wanted: lab_image.Recipe, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache.folder("vm-images"), prefix="draft-") as scratch:
        draft, tree, overlay = Path(scratch, "image"), Path(scratch, "tree"), Path(scratch, "overlay")
        for path in (draft, tree, overlay):
            path.mkdir()
        made = Bootable(draft)
        built = packages.build(made.built, Path(scratch))
        tar = Path(scratch, "root.tar")
        lab_image.bootstrap(wanted, tar)
        run(["tar", "--directory", str(tree), "--xattrs", "--extract", "--file", str(tar)], timeout=300)
        (release,) = [path.name for path in (tree / "usr/lib/modules").iterdir()]
        if release != built:
            raise LabError(f"the kernel is {release}, and its headers are of {built}", "run it again")
        (draft / "release").write_text(release)
        image.overlay(made.login, overlay, MASKED, {**image.FILES, **FILES})
        menu = overlay / "boot/grub/grub.cfg"
        menu.parent.mkdir(parents=True)
        menu.write_text(MENU.format(release=release, line=OPTIONS))
        extra = overlay / "usr/lib/modules" / release / "extra"
        extra.mkdir(parents=True)
        for name in ("fakegpu.ko", "nouveau.ko"):
            shutil.copy(made.built / packages.GOOD / name, extra)
        run(["sh", "-c", image.SCRIPT, "sh", str(tree), str(overlay)], timeout=300)
        run(["sh", "-c", SCRIPT, "sh", str(tree), str(overlay), str(made.grub)], timeout=300)
        for person in image.PEOPLE:
            run(["chroot", str(tree), "sh", "-c", users.script(person)], timeout=300)
        run(["truncate", f"--size={DISK_BYTES}", str(made.disk)])
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-d", str(tree), str(made.disk)], timeout=300)
        draft.replace(folder)
