"""How each thing that is made out of other files is made on this box: by what, into what, and its needs."""

from __future__ import annotations

import os
import re
from typing import Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Union

from ..errors import TargetError
from ..probe.audit import kernels
from ..probe.audit.loader import loader
from ..runtime.files import free_bytes, size_text
from .command import Host

NAMES = {
    "initramfs": "the initramfs",
    "boot": "the boot menu",
    "units": "systemd's list of units",
    "trust": "the store of trusted certificates",
    "loader": "the dynamic loader's cache",
}
# Debian's initramfs-tools and dracut name theirs differently.
IMAGES = ("/boot/initrd.img-", "/boot/initramfs-")
# What update-initramfs says when it leaves everything as it was, and ends with 0 (initramfs-tools 0.142).
LEFT_ALONE = {
    "Not updating initramfs": "set update_initramfs=yes in /etc/initramfs-tools/update-initramfs.conf, "
    "then run again",
    "Not updating /boot": "remount /boot (`mount -o remount,rw /boot`), then run again",
}
SPARE = 4 << 20


class Way(NamedTuple):
    """`commands` make `outputs`, in `folder` ("" when its size is nothing); `room`: bytes needed there.

    A program that says one of `refusals` has not done it, whatever its exit status; its value is the hint.
    """

    commands: List[List[str]]
    outputs: List[str]
    hint: str
    folder: str = ""
    room: int = 0
    refusals: Optional[Dict[str, str]] = None

    def ready(self, host: Host) -> None:
        """Raise TargetError before anything begins when there is no room, or nothing can be written."""
        if not self.folder:
            return
        if host.read_only(self.folder):
            raise TargetError(
                "%s is mounted read-only" % self.folder,
                "remount it (`mount -o remount,rw %s`), then run again" % self.folder,
            )
        if free_bytes(host.box.path(self.folder)) < self.room:
            raise self.full(host)

    def full(self, host: Host) -> TargetError:
        """What to say when the folder has not room enough."""
        free = free_bytes(host.box.path(self.folder))
        need = "about %s (%d bytes) are needed for a while and " % (size_text(self.room), self.room)
        return TargetError(
            "%s is full: %s%s (%d bytes) are free"
            % (self.folder, need if self.room > free else "", size_text(free), free),
            "remove kernels that are no longer used (`apt-get autoremove --purge`, "
            "`dnf remove --oldinstallonly`), then run again",
        )


# A text instead of a way: why nothing of the kind is here.
Found = Union[Way, str]


def initramfs(host: Host, made: Sequence[str]) -> Found:
    """Images of all kernels that are installed and have one, or had one when they were last made."""
    releases = installed(host)
    if not releases:
        return "no kernel is installed here, so there is no initramfs to make anew"
    debian, dracut = host.tool("update-initramfs"), host.tool("dracut")
    if debian is None and dracut is None:
        return "no initramfs is made on this box: it has neither update-initramfs nor dracut"
    names = [image + release for release in releases for image in IMAGES]
    there = [path for path in names if host.box.there(path)]
    # Kernels that somebody lets start without an image are left so.
    lost = [path for path in names if path in made and path not in there]
    sizes = [os.path.getsize(host.box.path(path)) for path in there]
    hint = "correct what it names, then run again: the kernels start with the images they had before"
    # Each new image is written beside the old one, which then goes.
    room = max(sizes, default=0) + SPARE
    if debian is not None:
        commands = [[debian, "-c", "-k", path[len(IMAGES[0]) :]] for path in lost]
        return Way([*commands, [debian, "-u", "-k", "all"]], there + lost, hint, "/boot", room, LEFT_ALONE)
    assert dracut is not None
    return Way([[dracut, "--regenerate-all", "--force"]], there + lost, hint, "/boot", room)


def installed(host: Host) -> List[str]:
    """Releases of kernels that can be started: one whose headers only are here has no modules of its own."""
    found = kernels.releases(host.box)
    return sorted(release for release in found if host.box.there("%s/%s" % (kernels.MODULES, release)))


def still_wanted(host: Host, output: str) -> bool:
    """Whether something that was made must still be there: the image of a kernel that has gone must not."""
    for image in IMAGES:
        if output.startswith(image):
            return output[len(image) :] in installed(host)
    return True


def holds_module(host: Host, names: Collection[str]) -> bool:
    """Whether an initramfs of an installed kernel has one of these modules (named with underscores)."""
    lister = host.tool("lsinitramfs", "lsinitrd")
    for release in installed(host):
        for path in (image + release for image in IMAGES):
            if not host.box.there(path):
                continue
            lines = host.listing([lister, path]) if lister else None
            if lines is None:
                # What cannot be seen may well be in it.
                return True
            found = re.findall(r"([^/\s]+?)\.ko(?:\.\w+)?$", "\n".join(lines), re.M)
            if any(name.replace("-", "_") in names for name in found):
                return True
    return False


def boot(host: Host, _made: Sequence[str]) -> Found:
    """GRUB's menu, or the entries of systemd-boot."""
    kind = host.container
    if kind:
        return "this is a container (%s): its host's boot loader starts the kernel" % kind
    found = loader(host.box)
    if found["state"] != "read":
        return "no boot loader is known here, so there is no boot menu to make anew"
    hint = "correct what it names, then run again: the menu is as it was before"
    if found["value"] == "grub":
        return grub(host, hint)
    if found["value"] == "systemd-boot":
        return entries(host, hint)
    return "the boot loader %s has no menu that is made out of other files" % found["value"]


def grub(host: Host, hint: str) -> Found:
    """Debian's update-grub, else grub(2)-mkconfig into the menu that is there."""
    menus = [path for path in ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg") if host.box.there(path)]
    debian, make = host.tool("update-grub"), host.tool("grub-mkconfig", "grub2-mkconfig")
    if debian is not None:
        return Way([[debian]], ["/boot/grub/grub.cfg"], hint, "/boot", SPARE)
    if make is None or not menus:
        return "GRUB's menu is not made on this box: it has no grub-mkconfig, or no menu"
    return Way([[make, "-o", menus[0]]], menus[:1], hint, "/boot", SPARE)


def entries(host: Host, hint: str) -> Found:
    """systemd-boot's entries, written anew by kernel-install."""
    tool = host.tool("kernel-install")
    images = []
    for release in installed(host):
        for path in ("/boot/vmlinuz-" + release, "%s/%s/vmlinuz" % (kernels.MODULES, release)):
            if host.box.there(path):
                images.append((release, path))
                break
    if tool is None or not images:
        return "systemd-boot's entries are not made by kernel-install on this box"
    return Way([[tool, "add", release, path] for release, path in images], [], hint, "/boot", SPARE)


def units(host: Host, _made: Sequence[str]) -> Found:
    """What systemd read of its units."""
    tool = host.tool("systemctl")
    if tool is None or not host.box.there("/run/systemd/system"):
        return "systemd does not run here, so it has no units to read anew"
    return Way([[tool, "daemon-reload"]], [], "see `systemctl status`, then run again")


def trust(host: Host, _made: Sequence[str]) -> Found:
    """The bundle of trusted certificates."""
    hint = "install the package ca-certificates anew, then run again"
    debian, fedora = host.tool("update-ca-certificates"), host.tool("update-ca-trust")
    if debian is not None:
        # Without it links to local certificates that went stay in /etc/ssl/certs.
        argv = [debian, "--fresh"]
        return Way([argv], ["/etc/ssl/certs/ca-certificates.crt"], hint, "/etc/ssl/certs", SPARE)
    if fedora is not None:
        bundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
        return Way([[fedora, "extract"]], [bundle], hint, "/etc/pki", SPARE)
    return "this box has no store of trusted certificates: the package ca-certificates is not installed"


def dynamic(host: Host, _made: Sequence[str]) -> Found:
    """The cache of shared libraries."""
    tool = host.tool("ldconfig")
    if tool is None:
        return "this box has no ldconfig: its loader keeps no cache"
    hint = "correct the file in /etc/ld.so.conf.d that it names, then run again"
    return Way([[tool]], ["/etc/ld.so.cache"], hint, "/etc", SPARE)


WAYS: Dict[str, Callable[[Host, Sequence[str]], Found]] = {
    "initramfs": initramfs,
    "boot": boot,
    "units": units,
    "trust": trust,
    "loader": dynamic,
}
