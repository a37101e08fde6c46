from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import kernels
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

DEBIAN = (
    "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld "
    "(GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)\n"
)


UBUNTU = (
    "Linux version 6.8.0-45-generic (buildd@a) (x86_64-linux-gnu-gcc-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0, "
    "GNU ld (GNU Binutils for Ubuntu) 2.42) #45-Ubuntu SMP"
)
EL = (
    "Linux version 5.14.0-427.el9.x86_64 (mockbuild@x) (gcc (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3), GNU "
    "ld version 2.35.2-43.el9) #1 SMP"
)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (DEBIAN, "12.2.0"),
        (UBUNTU, "13.2.0"),
        (EL, "11.4.1"),
        ("Linux version 4.18.0 (x) (gcc version 8.5.0 20210514 (Red Hat 8.5.0-22) (GCC)) #1", "8.5.0"),
        ("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"),
        ("gcc (Some (odd) build) 14.1", "14.1"),
        ("Linux version 6.6.1 (x) (Debian clang version 17.0.6 (1), Debian LLD 17.0.6) #1", ""),
        ("clang version 18", ""),
        ("", ""),
    ],
)
def test_the_compiler_of_a_kernel(text: str, version: str) -> None:
    assert kernels.compiler_of(text) == version


@given(st.text(alphabet="gc-1 (.)v", max_size=2000))
def test_a_hostile_version_ends(text: str) -> None:
    assert isinstance(kernels.compiler_of("gcc (" * 50 + text), str)


def sight(box: Box, kernel: str = "6.1.0-18-amd64", **kind: Any) -> Sight:
    return Sight(box, {"os": {"container": None, "wsl": False, "kernel": kernel, **kind}}, {})


MACHINE: dict[str, str] = {
    "/proc/version": DEBIAN,
    "/proc/cmdline": "BOOT_IMAGE=/vmlinuz quiet\n",
    "/boot/vmlinuz-6.1.0-9-amd64": "",
    "/boot/vmlinuz-6.1.0-18-amd64": "",
    "/boot/vmlinuz-0-rescue-0a1b2c": "",
    "/lib/modules/6.1.0-18-amd64/build": "-> /usr/src/linux-headers-6.1.0-18-amd64",
    "/usr/src/linux-headers-6.1.0-18-amd64/Makefile": "",
    "/usr/bin/gcc": "-> gcc-12",
    "/usr/bin/gcc-12": "-> x86_64-linux-gnu-gcc-12",
    "/usr/bin/x86_64-linux-gnu-gcc-12": "ELF",
    "/etc/kernel/postinst.d/unattended-upgrades": "",
    "/run/": "",
}
RUNNING = {"release": "6.1.0-18-amd64", "headers": True, "gcc": "12.2.0"}


def look(root: Path, **kind: Any) -> dict[str, Any]:
    box = Box(str(root))
    return kernels.kernels(box, sight(box, **kind))


def test_a_debian_machine(plant: Plant) -> None:
    found = look(plant(MACHINE))
    assert {name: (reading["state"], reading["value"]) for name, reading in found.items()} == {
        "kernels": ("read", [RUNNING]),
        "gcc": ("read", "12"),
        "reboot_wanted_by": ("read", []),
        "command_line": ("read", "BOOT_IMAGE=/vmlinuz quiet"),
    }


NEWER = "6.1.0-21-amd64"


@pytest.mark.parametrize(
    ("more", "following"),
    [
        ({}, {"release": NEWER, "headers": False, "gcc": ""}),
        (
            {f"/boot/config-{NEWER}": 'CONFIG_CC_VERSION_TEXT="gcc-13 (Debian 13.2.0-1) 13.2.0"\n'},
            {"release": NEWER, "headers": False, "gcc": "13.2.0"},
        ),
        (
            {
                f"/lib/modules/{NEWER}/build": "-> ../../../usr/src/new",
                "/usr/src/new/Makefile": "",
                "/usr/src/new/.config": '# x\nCONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14) 12.2.0"\n',
            },
            {"release": NEWER, "headers": True, "gcc": "12.2.0"},
        ),
        # The headers' package is gone, its link is not.
        (
            {f"/lib/modules/{NEWER}/build": "-> /usr/src/gone"},
            {"release": NEWER, "headers": False, "gcc": ""},
        ),
        ({f"/lib/modules/{NEWER}/build": "-> build"}, {"release": NEWER, "headers": False, "gcc": ""}),
    ],
    ids=["nothing", "configuration", "headers", "dangling", "loop"],
)
def test_the_kernel_that_starts_next(plant: Plant, more: dict[str, str], following: dict[str, Any]) -> None:
    root = plant({**MACHINE, f"/boot/vmlinuz-{NEWER}": "", **more})
    assert look(root)["kernels"]["value"] == [RUNNING, following]


@pytest.mark.parametrize(
    ("settings", "release"),
    [
        ({}, NEWER),
        ({"/etc/default/grub": "GRUB_DEFAULT=0\n"}, NEWER),
        ({"/etc/default/grub": 'GRUB_DEFAULT="1>Debian, with Linux 6.1.0-9-amd64"\n'}, "6.1.0-9-amd64"),
        (
            {
                "/etc/default/grub": "GRUB_DEFAULT=saved\n",
                "/boot/grub/grubenv": "# GRUB\nsaved_entry=gnulinux-6.1.0-9-amd64-advanced-1b2c\n####\n",
            },
            "6.1.0-9-amd64",
        ),
        # Saved, but nobody looks at it.
        ({"/boot/grub/grubenv": "saved_entry=gnulinux-6.1.0-9-amd64-advanced\n"}, NEWER),
        ({"/boot/grub/grubenv": "next_entry=gnulinux-6.1.0-9-amd64-advanced\n"}, "6.1.0-9-amd64"),
        (
            {
                "/etc/default/grub": "GRUB_DEFAULT=saved\n",
                "/boot/grub/grubenv": "saved_entry=none of these\n",
            },
            NEWER,
        ),
    ],
)
def test_what_the_boot_loader_was_told(plant: Plant, settings: dict[str, str], release: str) -> None:
    root = plant({**MACHINE, f"/boot/vmlinuz-{NEWER}": "", **settings})
    assert look(root)["kernels"]["value"][-1]["release"] == release


def test_el_names_its_kernel_by_an_entry_of_its_own(plant: Plant) -> None:
    old, new = "5.14.0-427.13.1.el9_4.x86_64", "5.14.0-503.el9.x86_64"
    root = plant({
        f"/boot/vmlinuz-{old}": "", f"/boot/vmlinuz-{new}": "", "/lib/modules/": "",
        "/etc/default/grub": "GRUB_TIMEOUT=5\nGRUB_DEFAULT=saved\n",
        "/boot/grub2/grubenv": f"saved_entry=ffffffffffffffff-{new}\nkernelopts=root=/dev/sda\n",
    })  # fmt: skip
    assert [one["release"] for one in look(root, kernel=old)["kernels"]["value"]] == [old, new]


def test_a_kernel_named_after_its_kind_is_no_other_release(plant: Plant) -> None:
    running = "6.9.1-arch1-1"
    root = plant({"/boot/vmlinuz-linux": "", f"/lib/modules/{running}/vmlinuz": ""})
    assert [one["release"] for one in look(root, kernel=running)["kernels"]["value"]] == [running]


def test_a_recorded_tree_without_modules_says_nothing_of_headers(plant: Plant) -> None:
    found = look(plant({"/proc/version": DEBIAN}))["kernels"]
    assert (found["state"], found["why"]) == ("hidden", "the recorded tree has no /lib/modules")


def test_kernels_without_a_boot_folder(plant: Plant) -> None:
    root = plant({
        "/lib/modules/5.14.0-427.el9.x86_64/modules.order": "",
        "/lib/modules/5.14.0-503.el9.x86_64/vmlinuz": "",
        "/lib/modules/9.9.9-left-by-dkms/updates/": "",
    })  # fmt: skip
    found = look(root, kernel="5.14.0-427.el9.x86_64")["kernels"]["value"]
    assert [one["release"] for one in found] == ["5.14.0-427.el9.x86_64", "5.14.0-503.el9.x86_64"]


@pytest.mark.parametrize(
    ("files", "state", "value", "why"),
    [
        ({"/usr/": ""}, "absent", None, "there is no gcc"),
        ({}, "hidden", None, "the recorded tree has no /usr"),
        ({"/usr/bin/gcc": "-> /etc/alternatives/gcc", "/etc/alternatives/gcc": "-> /usr/bin/gcc-11",
          "/usr/bin/gcc-11": ""}, "read", "11", ""),
        ({"/usr/bin/gcc": "ELF", "/usr/lib/gcc/x86_64-redhat-linux/11/libgcc.a": ""}, "read", "11", ""),
        ({"/usr/bin/gcc": "ELF", "/usr/lib/gcc/a/11/libgcc.a": "", "/usr/lib/gcc/a/12/libgcc.a": ""},
         "hidden", None, "no file says which version it is"),
        ({"/usr/local/bin/gcc": "ELF", "/usr/local/lib/gcc/x86_64-pc-linux-gnu/14.2.0/libgcc.a": "",
          "/usr/bin/gcc": "-> gcc-12", "/usr/bin/gcc-12": ""}, "read", "14.2.0", ""),
        ({"/usr/bin/gcc": "-> gcc"}, "error", None, "the link leads nowhere"),
        ({"/usr/bin/gcc": "-> gone"}, "error", None, "the link leads nowhere"),
    ],
)  # fmt: skip
def test_the_compiler_here(
    plant: Plant, files: dict[str, str], state: str, value: str | None, why: str
) -> None:
    found = kernels.compiler(Box(str(plant(files))))
    assert (found["state"], found["value"], found["why"]) == (state, value, why)


@pytest.mark.parametrize(
    ("files", "state", "value"),
    [
        ({"/run/reboot-required": "", "/run/reboot-required.pkgs": "linux-base\nlibc6\nlinux-base\n\n"},
         "read", ["linux-base", "libc6"]),
        ({"/run/reboot-required": ""}, "read", [""]),
        ({"/run/reboot-required": "", "/run/reboot-required.pkgs": "\n"}, "read", [""]),
        ({"/var/run/reboot-required": "", "/var/run/reboot-required.pkgs": "dbus\n"}, "read", ["dbus"]),
        ({"/run/reboot-required": "", "/run/reboot-required.pkgs/": ""}, "hidden", None),
        # The list of a restart that has been done.
        ({"/run/": "", "/run/reboot-required.pkgs": "dbus\n"}, "hidden", None),
        ({"/run/": "", "/usr/share/update-notifier/notify-reboot-required": ""}, "read", []),
        ({}, "hidden", None),
    ],
)  # fmt: skip
def test_whether_a_restart_is_wanted(plant: Plant, files: dict[str, str], state: str, value: Any) -> None:
    found = kernels.reboot(Box(str(plant(files))))
    assert (found["state"], found["value"]) == (state, value)


def test_a_container_has_no_kernel_of_its_own(plant: Plant) -> None:
    found = look(plant(MACHINE), container="docker")
    assert {name: reading["state"] for name, reading in found.items()} == {
        "kernels": "not_applicable",
        "gcc": "read",
        "reboot_wanted_by": "not_applicable",
        "command_line": "not_applicable",
    }


def test_a_container_may_want_to_be_started_again(plant: Plant) -> None:
    root = plant({"/run/reboot-required": "", "/run/reboot-required.pkgs": "libc6\n"})
    assert look(root, container="lxc")["reboot_wanted_by"]["value"] == ["libc6"]


def test_wsl_gets_its_kernel_from_windows(plant: Plant) -> None:
    found = look(plant(MACHINE), wsl=True)
    assert found["kernels"]["state"] == "not_applicable"
    assert "Windows" in found["kernels"]["why"]
    assert found["command_line"]["state"] == "read"


def test_pipes_and_endless_files(plant: Plant) -> None:
    root = plant({**MACHINE, f"/boot/vmlinuz-{NEWER}": ""})
    for path in ("etc/default/grub", "boot/grub/grubenv", f"boot/config-{NEWER}"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(root / path)
    (root / "proc/version").unlink()
    (root / "proc/version").symlink_to("/dev/zero")
    assert look(root)["kernels"]["value"][0] == {**RUNNING, "gcc": ""}
