"""What starts the kernel: said by the loader, by the kernel, or to be guessed from files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import efi
from provisioner.target.probe.audit import loader
from provisioner.target.probe.box import Box
from tests.unit.target.probe.signatures import ATTRIBUTES

from .conftest import Plant

Files = dict[str, str | bytes]
GRUB: Files = {"/boot/grub/grub.cfg": "", "/etc/default/grub": ""}
SYSTEMD: Files = {"/boot/loader/loader.conf": "", "/boot/loader/entries/": ""}


def said(text: str) -> Files:
    return {efi.LOADER_INFO: ATTRIBUTES + (text + "\0").encode("utf-16-le")}


def number(value: int) -> Files:
    return {loader.BOOT_PARAMS: bytes(0x210) + bytes([value]) + bytes(100)}


CASES: dict[str, tuple[Files, str | None, str]] = {
    "systemd-boot says so": (said("systemd-boot 254.5-1"), "systemd-boot", efi.LOADER_INFO),
    "GRUB says so": ({**said("GRUB 2.12"), **SYSTEMD}, "grub", efi.LOADER_INFO),
    "another says so": (said("rEFInd 0.14.0.2"), "refind", efi.LOADER_INFO),
    "the kernel was handed over by GRUB": ({**number(0x72), **SYSTEMD}, "grub", loader.BOOT_PARAMS),
    "started by the hypervisor": ({**number(0xB0), **GRUB}, "hypervisor", loader.BOOT_PARAMS),
    "syslinux": (number(0x31), "syslinux", loader.BOOT_PARAMS),
    "the kernel's own stub tells nothing": ({**number(0x21), **GRUB}, "grub", "/boot/grub/grub.cfg"),
    "files of systemd-boot": (SYSTEMD, "systemd-boot", "/boot/loader/loader.conf"),
    # Fedora's GRUB reads the same entries as systemd-boot.
    "entries beside GRUB": (
        {"/boot/grub2/grub.cfg": "", "/boot/loader/entries/": ""},
        "grub",
        "/boot/grub2/grub.cfg",
    ),
    "entries alone": ({"/boot/loader/entries/": ""}, "systemd-boot", "/boot/loader/entries"),
    "a kernel image with its command line": (
        {"/etc/kernel/cmdline": "ro"},
        "systemd-boot",
        "/etc/kernel/cmdline",
    ),
    "a Raspberry Pi": ({"/boot/firmware/cmdline.txt": ""}, "raspberry", "/boot/firmware/cmdline.txt"),
    "said, and cannot be read": (
        {efi.LOADER_INFO: ATTRIBUTES, **GRUB},
        "grub",
        "/boot/grub/grub.cfg",
    ),
    "handed over in half": ({loader.BOOT_PARAMS: bytes(9), **GRUB}, "grub", "/boot/grub/grub.cfg"),
    "nothing": ({}, None, "/boot"),
}


@pytest.mark.parametrize("name", CASES)
def test_loaders(plant: Plant, name: str) -> None:
    files, value, source = CASES[name]
    found = loader.loader(Box(str(plant({"/etc/": "", **files}))))
    assert (found["state"], found["value"], found["source"]) == ("read" if value else "absent", value, source)


def test_what_the_kernel_was_handed(plant: Plant) -> None:
    box = Box(str(plant({loader.BOOT_PARAMS: bytes(0x1EC) + b"\3"})))
    assert loader.boot_param(box, 0x1EC) == {
        "state": "read",
        "value": 3,
        "why": "",
        "source": loader.BOOT_PARAMS,
        "offset": 0x1EC,
    }
    cut = loader.boot_param(box, 0x1ED)
    assert (cut["state"], cut["why"]) == ("error", "it has 493 bytes, and ends before byte 0x1ed")


class Written(Box):
    """A box whose every file has the same content."""

    content = b""

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        return self.content


@given(st.binary(max_size=1000))
def test_any_bytes_name_a_loader_or_none(content: bytes) -> None:
    box = Written("/nowhere")
    box.content = content
    assert loader.loader(box)["state"] in ("read", "absent")
