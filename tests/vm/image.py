"""The disk that all virtual machines start from, and the kernel that they boot: made once, then only read.

A Debian 13 of the lab's own recipe with a kernel. What would slow an emulated boot down and shows nothing of
the firmware (login sessions, timers, generators) is masked: 12 s instead of 27 s to the first login.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab import cache, image, users
from tests.lab.process import LabError, run

from .host import OWNER_KEY

RELEASE = "trixie"
DISK_BYTES = 900 << 20
PEOPLE = (users.User("admin", "sudo-nopasswd"), users.User("guest", "no-sudo"))
# Drivers that the disk needs before it is mounted, and the network before udev looks for it.
EARLY = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")
UNUSED_DRIVERS = ("drivers/gpu", "drivers/infiniband", "drivers/media", "drivers/net/wireless",
                  "drivers/staging", "sound")  # fmt: skip
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dev-hugepages.mount", "dev-mqueue.mount",
    "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "getty.target",
    "kmod-static-nodes.service", "ldconfig.service", "logrotate.timer", "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount", "run-lock.mount", "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-binfmt.service",
    "systemd-firstboot.service", "systemd-hibernate-clear.service", "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service", "systemd-journal-flush.service", "systemd-logind.service",
    "systemd-machine-id-commit.service", "systemd-modules-load.service", "systemd-network-generator.service",
    "systemd-networkd-persistent-storage.service", "systemd-networkd.service", "systemd-networkd.socket",
    "systemd-networkd-wait-online.service", "systemd-pcrmachine.service", "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service", "systemd-random-seed.service", "systemd-remount-fs.service",
    "systemd-sysctl.service", "systemd-sysusers.service", "systemd-tmpfiles-clean.timer",
    "systemd-tpm2-setup-early.service", "systemd-tpm2-setup.service", "systemd-udev-load-credentials.service",
    "systemd-update-done.service", "systemd-update-utmp.service", "tmp.mount", "user-runtime-dir@.service",
    "user@.service",
)  # fmt: skip
FILES = {
    "etc/hostname": "vm\n",
    "etc/machine-id": f"{0x5EED:032x}\n",
    "etc/fstab": "",
    # QEMU's user network is the same for everyone.
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/systemd/system/vm-network.service": (
        "[Unit]\nDefaultDependencies=no\nBefore=network.target\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        "ExecStart=/bin/sh -c 'ip link set lo up; ip link set eth0 up; "
        "ip address add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2'\n"
        "[Install]\nWantedBy=sysinit.target\n"
    ),
    # Whoever is let in finds every device with its driver, and no "system is booting up".
    "etc/systemd/system/ssh.service.d/vm.conf": (
        "[Unit]\nWants=systemd-udev-settle.service\n"
        "After=systemd-udev-settle.service systemd-user-sessions.service\n"
    ),
}
# In the root file system, after the files above: $1 is its folder.
SCRIPT = """
set -eu
rm -f "$1"/etc/resolv.conf
cp -a "$2"/. "$1"
chmod 700 "$1"/root/.ssh; chmod 600 "$1"/root/.ssh/authorized_keys "$1"/etc/ssh/ssh_host_ed25519_key
chown -R 0:0 "$1"/root "$1"/etc/ssh
chroot "$1" systemctl enable --quiet vm-network.service
mkdir -p "$1"/etc/systemd/system-generators
for path in "$1"/usr/lib/systemd/system-generators/*; do
  ln -s /dev/null "$1"/etc/systemd/system-generators/"${path##*/}"
done
sed -i /pam_systemd/d "$1"/etc/pam.d/common-session
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine boots from. `signed` is the same kernel with the signature of the owner's key, which
    Secure Boot asks for; `key` logs in as root and everyone of PEOPLE.
    """

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def signed(self) -> Path:
        return self.folder / "vmlinuz.signed"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def host_key(self) -> Path:
        return self.folder / "ssh_host_ed25519_key.pub"


def recipe() -> image.Recipe:
    """The lab's own fresh Debian, with a kernel and a small initrd."""
    plain = image.recipe(RELEASE, (), *image.configured_mirrors())
    modules = "".join(f"{name}\\n" for name in EARLY)
    unused = " ".join(f'"$folder/kernel/{name}"' for name in UNUSED_DRIVERS)
    hooks = (
        'rm -rf "$1"/usr/share/doc "$1"/usr/share/locale "$1"/usr/share/man',
        f'for folder in "$1"/usr/lib/modules/*; do rm -rf {unused}; done',
        'for folder in "$1"/usr/lib/modules/*; do chroot "$1" depmod "${folder##*/}"; done',
        f"printf '{modules}' > \"$1\"/etc/initramfs-tools/modules",
        'sed -i "s/^MODULES=.*/MODULES=list/" "$1"/etc/initramfs-tools/initramfs.conf',
        'chroot "$1" update-initramfs -u -k all',
    )
    packages = (*plain.packages, "linux-image-amd64", "initramfs-tools", "zstd")
    return replace(plain, packages=packages, hooks=(*hooks, *plain.hooks))


def key_of(wanted: image.Recipe) -> str:
    """A digest of everything that decides what is in the image."""
    people = [users.script(person) for person in PEOPLE]
    parts = [wanted.key, DISK_BYTES, people, MASKED, FILES, SCRIPT, OWNER_KEY.read_text()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def ensure() -> Image:
    """The image, made when it is not there (three quarters of a minute)."""
    wanted = recipe()
    made = Image(cache.root() / "vm-images" / key_of(wanted))
    if made.folder.is_dir():
        return made
    with cache.lock(f"vm-image-{made.folder.name}"):
        if not made.folder.is_dir():
            _make(wanted, made.folder)
    return made


def _make(wanted: image.Recipe, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache.folder("vm-images"), prefix="draft-") as scratch:
        draft, tree, laid = Path(scratch, "image"), Path(scratch, "tree"), Path(scratch, "overlay")
        for path in (draft, tree, laid):
            path.mkdir()
        tar = Path(scratch, "root.tar")
        image.bootstrap(wanted, tar)
        run(["tar", "--directory", str(tree), "--xattrs", "--extract", "--file", str(tar)], timeout=300)
        made = Image(draft)
        overlay(made, laid, MASKED, FILES)
        run(["sh", "-c", SCRIPT, "sh", str(tree), str(laid)], timeout=300)
        for person in PEOPLE:
            run(["chroot", str(tree), "sh", "-c", users.script(person)], timeout=300)
        _kernel(tree / "boot", made)
        _sign(made, Path(scratch))
        run(["truncate", f"--size={DISK_BYTES}", str(made.disk)])
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-d", str(tree), str(made.disk)], timeout=300)
        draft.replace(folder)


def overlay(made: Image, folder: Path, masked: Iterable[str], files: Mapping[str, str]) -> None:
    """Files, masked units and keys, as they lie in the root file system."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for unit in masked:
        (folder / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for place in ("root/.ssh", "etc/ssh"):
        (folder / place).mkdir(parents=True)
    host_key = folder / "etc/ssh/ssh_host_ed25519_key"
    for path in (made.key, host_key):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", str(path)])
    shutil.copy(made.key.with_suffix(".pub"), folder / "root/.ssh/authorized_keys")
    shutil.copy(host_key.with_suffix(".pub"), made.host_key)


def _kernel(boot: Path, made: Image) -> None:
    for pattern, target in (("vmlinuz-*", made.kernel), ("initrd.img-*", made.initrd)):
        found = sorted(boot.glob(pattern))
        if len(found) != 1:
            raise LabError(f"{len(found)} files match {pattern} in the new image", "one kernel is expected")
        shutil.copy(found[0], target)


def _sign(made: Image, scratch: Path) -> None:
    """Sign the kernel as the owner of the firmware's example keys would."""
    key = scratch / "owner.key"
    opened = ["openssl", "rsa", "-in", str(OWNER_KEY), "-passin", "pass:snakeoil", "-out", str(key)]
    run(opened, timeout=120)
    certificate = str(OWNER_KEY.with_suffix(".pem"))
    command = ["sbsign", "--key", str(key), "--cert", certificate, "--output", str(made.signed)]
    run([*command, str(made.kernel)], timeout=120)
