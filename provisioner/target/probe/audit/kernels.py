"""Kernels, of the section software: the running one, the one that starts next, and what builds for them."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Sequence, Set

from ..box import MISSING, Box, reason
from . import readings, versions
from .files import names_in, resolve, text_of
from .readings import Reading
from .sight import Sight

MODULES = "/lib/modules"
VERSION = "/proc/version"
WANTED = ("/run/reboot-required", "/var/run/reboot-required")
# Who leaves the note that a restart is wanted: where none of them is, its absence says nothing.
NOTERS = (
    "/usr/share/update-notifier/notify-reboot-required",
    "/etc/kernel/postinst.d/update-notifier",
    "/etc/kernel/postinst.d/unattended-upgrades",
)
COMPILERS = ("/usr/local/bin/gcc", "/usr/bin/gcc", "/bin/gcc")
LIBRARIES = ("/usr/local/lib/gcc", "/usr/lib/gcc", "/usr/lib64/gcc")
# Where GRUB keeps which entry comes next, and the settings that its menu is made from.
ENVIRONMENTS = ("/boot/grub/grubenv", "/boot/grub2/grubenv")
DEFAULTS = "/etc/default/grub"


def kernels(box: Box, sight: Sight) -> Dict[str, Any]:
    """`kernels`, `gcc`, `reboot_wanted_by` and `command_line` of `Audit.software`."""
    elsewhere = others_kernel(sight)
    if elsewhere:
        nothing = readings.not_applicable(elsewhere)
        return {
            "kernels": nothing,
            "gcc": compiler(box),
            # A container with an init of its own may want to be started again too.
            "reboot_wanted_by": reboot(box) if any(box.there(path) for path in WANTED) else nothing,
            "command_line": command_line(box) if sight.wsl else nothing,
        }
    return {
        "kernels": images(box, str(sight.facts["os"]["kernel"])),
        "gcc": compiler(box),
        "reboot_wanted_by": reboot(box),
        "command_line": command_line(box),
    }


def others_kernel(sight: Sight) -> Optional[str]:
    """Why this system has no kernel of its own; None when it has."""
    if sight.wsl:
        return "Windows brings the kernel of WSL and its driver: update them there (wsl --update)"
    if sight.container:
        return "a container runs its host's kernel: run this on the machine that runs it"
    return None


def command_line(box: Box) -> Reading:
    """What the kernel was started with."""
    return readings.from_file(box, "/proc/cmdline", readings.word, "the kernel does not show it")


def images(box: Box, running: str) -> Reading:
    """The running kernel and, where it is another, the one that starts next."""
    if not running:
        return readings.hidden("the kernel does not say its release", "/proc/sys/kernel/osrelease")
    if not box.live and not box.there(MODULES):
        return readings.hidden("the recorded tree has no " + MODULES, MODULES)
    built = compiler_of(text_of(box, VERSION, 1 << 16))
    found = [{"release": running, "headers": headers(box, running) is not None, "gcc": built}]
    following = next_kernel(box, running)
    if following and following != running:
        folder = headers(box, following)
        gcc = configured_compiler(box, following, folder)
        found.append({"release": following, "headers": folder is not None, "gcc": gcc})
    return readings.read(found, MODULES)


def next_kernel(box: Box, running: str) -> Optional[str]:
    """The release that GRUB was told by name to start, else the newest that is installed, which is what
    loaders take by themselves.
    """
    installed = releases(box)
    return chosen_entry(box, installed) or versions.newest(installed) or running


def releases(box: Box) -> Set[str]:
    """Kernels that can be started: images in /boot, else (EL keeps them there too) in /lib/modules."""
    images = {
        name[len("vmlinuz-") :]
        for name in names_in(box, "/boot")
        # Arch and Alpine name theirs after its kind (vmlinuz-linux): that is no release.
        if re.match(r"vmlinuz-\d+\.", name) and not re.search(r"rescue|\.old$|\.bak$", name)
    }
    if images:
        return images
    return {
        name
        for name in names_in(box, MODULES)
        # A folder that dkms or a removed kernel left behind has no list of the kernel's own modules.
        if box.there("%s/%s/modules.order" % (MODULES, name)) or box.there("%s/%s/vmlinuz" % (MODULES, name))
    }


def chosen_entry(box: Box, installed: Set[str]) -> Optional[str]:
    """The kernel that GRUB's settings name; None when they leave it to the order, or may not be read."""
    default = setting(box, DEFAULTS, "GRUB_DEFAULT")
    wanted = [setting(box, path, "next_entry") for path in ENVIRONMENTS]
    # What is saved counts only where the menu was made to look at it.
    wanted += (
        [setting(box, path, "saved_entry") for path in ENVIRONMENTS] if default == "saved" else [default]
    )
    for entry in wanted:
        named = [release for release in installed if release in entry]
        if named:
            return max(named, key=len)
    return None


def setting(box: Box, path: str, name: str) -> str:
    """The value of a `name=value` line; "" when there is none to be read."""
    found = re.findall(r"(?m)^%s=[\"']?([^\"'\n]*)" % name, text_of(box, path, 1 << 16))
    return str(found[-1]).strip() if found else ""


def headers(box: Box, release: str) -> Optional[str]:
    """The folder of a kernel's headers, None when they are not here."""
    folder = resolve(box, "%s/%s/build" % (MODULES, release))
    if folder is not None and box.there(folder + "/Makefile"):
        return folder
    return None


def configured_compiler(box: Box, release: str, folder: Optional[str]) -> str:
    """The gcc that a kernel's configuration names."""
    for path in ([folder + "/.config"] if folder else []) + ["/boot/config-" + release]:
        match = re.search(r'(?m)^CONFIG_CC_VERSION_TEXT="([^"\n]*)"', text_of(box, path))
        if match:
            return compiler_of(match.group(1))
    return ""


def compiler_of(text: str) -> str:
    """The version of gcc in /proc/version or in a kernel's configuration; "" when another compiler built it.

    "gcc-12 (Debian 12.2.0-14) 12.2.0", "gcc (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)", "gcc version 9.4.0".
    """
    match = re.search(
        r"gcc(?:-\d+)?(?:\.exe)? (?:version |\((?:[^()]|\([^()]*\)){0,200}\) )(\d+(?:\.\d+)*)", text
    )
    return match.group(1) if match else ""


def compiler(box: Box) -> Reading:
    """The gcc of this system: the version that its links and folders name, as far as they do ("12")."""
    for path in COMPILERS:
        if not box.there(path):
            continue
        target = resolve(box, path)
        if target is None:
            return readings.error("the link leads nowhere", path)
        match = re.search(r"gcc-(\d+(?:\.\d+)*)$", target)
        if match:
            return readings.read(match.group(1), path)
        found = installed_versions(box, LIBRARIES[:1] if path.startswith("/usr/local") else LIBRARIES[1:])
        if len(found) == 1:
            return readings.read(found.pop(), path)
        return readings.hidden("no file says which version it is", path)
    if not box.live and not box.there("/usr"):
        return readings.hidden("the recorded tree has no /usr", COMPILERS[1])
    return readings.absent("there is no gcc", COMPILERS[1])


def installed_versions(box: Box, libraries: Sequence[str]) -> Set[str]:
    """Versions of gcc whose own library lies in these folders (the compiler's proper place differs)."""
    return {
        version
        for library in libraries
        for machine in names_in(box, library)
        for version in names_in(box, "%s/%s" % (library, machine))
        if re.match(r"\d+(\.\d+)*$", version) and box.there("%s/%s/%s/libgcc.a" % (library, machine, version))
    }


def reboot(box: Box) -> Reading:
    """The packages that want a restart; one empty name where something wants it and left no name."""
    for path in WANTED:
        if not box.there(path):
            continue
        try:
            text = box.read(path + ".pkgs", 1 << 20).decode("utf-8", "backslashreplace")
        except OSError as failure:
            if failure.errno not in MISSING:
                return readings.hidden(reason(failure, path + ".pkgs"), path + ".pkgs")
            return readings.read([""], path)
        names = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
        return readings.read(names or [""], path + ".pkgs")
    if not box.live and not box.there("/run"):
        return readings.hidden("the recorded tree has no /run", WANTED[0])
    if any(box.there(path) for path in NOTERS):
        return readings.read([], WANTED[0])
    return readings.hidden("no program here would note that a restart is wanted", WANTED[0])
