"""What is made anew, when, and what is said when it cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import refresh, ways
from provisioner.target.system.refresh import main

from .boxes import CONTAINER, MACHINE, FakeBox

STATE = "/var/lib/provisioner"
OPTIONS = "/etc/modprobe.d/provisioner-options.conf"
OTHER = "/etc/modprobe.d/other.conf"
MADE = "the initramfs was made anew: %s"
UPDATE = "update-initramfs -u -k all"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBox:
    monkeypatch.setattr("os.sync", lambda: None)
    box = FakeBox(tmp_path, {OPTIONS: "options nvidia NVreg_X=1\n"})
    box.kernel("6.1.0-1-amd64")
    box.program("update-initramfs")
    return box


def again(
    box: FakeBox, what: str = "initramfs", inputs: tuple[str, ...] = (OPTIONS,), check: bool = False
) -> str:
    """What was said, and whether that was a change, which must fit to what ran."""
    before = len(box.ran)
    answer = refresh.refresh(box.host, what, list(inputs), STATE, check)
    assert answer["changed"] == (len(box.ran) > before or (check and "would" in answer["said"]))
    return str(answer["said"])


AS_IT_WAS = "the initramfs is as it was made last"


def test_it_runs_once(box: FakeBox) -> None:
    assert [again(box), again(box)] == [MADE % f"{OPTIONS} has changed", AS_IT_WAS]
    assert box.ran == [UPDATE]


def _append(box: FakeBox) -> None:
    box.write(OPTIONS, "options nvidia NVreg_X=2\n")


def _remove(box: FakeBox) -> None:
    box.path(OPTIONS).unlink()


def _image(box: FakeBox) -> None:
    box.path("/boot/initrd.img-6.1.0-1-amd64").unlink()

    # The real one makes it when it is asked to create it.
    def create(*_: str) -> tuple[int, list[str]]:
        box.kernel("6.1.0-1-amd64")
        return 0, []

    box.program("update-initramfs", create)


@pytest.mark.parametrize(
    ("change", "why", "ran"),
    [
        (_append, f"{OPTIONS} has changed", [UPDATE]),
        (_remove, f"{OPTIONS} has changed", [UPDATE]),
        (
            _image,
            "/boot/initrd.img-6.1.0-1-amd64 is missing",
            ["update-initramfs -c -k 6.1.0-1-amd64", UPDATE],
        ),
    ],
)
def test_it_runs_again_after_a_change(
    box: FakeBox, change: Callable[[FakeBox], None], why: str, ran: list[str]
) -> None:
    again(box)
    change(box)
    assert [again(box), again(box)] == [MADE % why, AS_IT_WAS]
    assert box.ran == [UPDATE, *ran]


def test_the_image_of_a_kernel_that_has_gone_is_not_missed(box: FakeBox) -> None:
    box.kernel("6.1.0-2-amd64")
    again(box)
    for path in ("/boot/vmlinuz-6.1.0-2-amd64", "/boot/initrd.img-6.1.0-2-amd64"):
        box.path(path).unlink()
    assert again(box) == AS_IT_WAS


def test_roles_do_not_take_turns(box: FakeBox) -> None:
    box.write(OTHER, "blacklist nouveau\n")
    said = [again(box), again(box, inputs=(OTHER,)), again(box), again(box, inputs=(OTHER,))]
    assert said == [MADE % f"{OPTIONS} has changed", MADE % f"{OTHER} has changed", AS_IT_WAS, AS_IT_WAS]


def test_one_run_serves_all_that_is_noted(box: FakeBox) -> None:
    box.write(OTHER, "blacklist nouveau\n")
    again(box, inputs=(OTHER,))
    box.write(OTHER, "blacklist nvidiafb\n")
    again(box)
    assert again(box, inputs=(OTHER,)) == AS_IT_WAS


def test_an_input_that_was_never_there_asks_for_nothing(box: FakeBox) -> None:
    assert again(box, inputs=(OTHER,)) == AS_IT_WAS


def test_a_folder_counts_with_names_and_contents(box: FakeBox) -> None:
    folder = "/etc/modprobe.d"
    again(box, inputs=(folder,))
    assert again(box, inputs=(folder,)) == AS_IT_WAS
    box.path(OPTIONS).rename(box.path(OTHER))
    assert again(box, inputs=(folder,)) == MADE % f"{folder} has changed"
    os.mkfifo(box.path("/etc/modprobe.d/pipe"))
    box.path("/etc/modprobe.d/link").symlink_to("nowhere")
    assert again(box, inputs=(folder,)) == MADE % f"{folder} has changed"


class PowerCutError(Exception):
    """What ends a program in the middle."""


def test_what_was_interrupted_runs_again(box: FakeBox) -> None:
    def cut(*_: str) -> tuple[int, list[str]]:
        raise PowerCutError

    box.program("update-initramfs", cut)
    with pytest.raises(PowerCutError):
        again(box)
    box.program("update-initramfs")
    # Even when somebody has taken the file away meanwhile: the image may have it.
    box.path(OPTIONS).unlink()
    assert again(box) == MADE % "the last time did not come to its end"
    assert again(box) == AS_IT_WAS


def test_a_change_while_it_runs_counts_afterwards(box: FakeBox) -> None:
    def late(*_: str) -> tuple[int, list[str]]:
        _append(box)
        return 0, []

    box.program("update-initramfs", late)
    again(box)
    box.program("update-initramfs")
    assert again(box) == MADE % f"{OPTIONS} has changed"


def test_a_check_changes_nothing(box: FakeBox) -> None:
    assert again(box, check=True) == f"the initramfs would be made anew: {OPTIONS} has changed"
    assert (box.ran, box.path(f"{STATE}/refreshed").exists()) == ([], False)


def test_a_damaged_note_says_nothing(box: FakeBox) -> None:
    again(box)
    box.write(f"{STATE}/refreshed/initramfs.json", json.dumps({"inputs": [], "outputs": 3})[:-4])
    assert again(box) == MADE % f"{OPTIONS} has changed"


def fails(rc: int, *lines: str) -> Callable[..., tuple[int, list[str]]]:
    return lambda *_: (rc, list(lines))


FAILED = "E: /usr/share/initramfs-tools/hooks/dropbear failed with return 2."
ENDED = "the initramfs could not be made anew: `/usr/sbin/update-initramfs -u -k all` ended"
FULL = (
    "/boot is full: about 4.2 MB (4194309 bytes) are needed for a while and 3.0 MB (3000000 bytes) are free"
)
NO_SPACE = (
    "remove kernels that are no longer used (`apt-get autoremove --purge`, `dnf remove --oldinstallonly`), "
    "then run again"
)


@pytest.mark.parametrize(
    ("program", "message", "hint"),
    [
        (
            fails(1, "update-initramfs: Generating /boot/initrd.img-6.1.0-1-amd64", FAILED),
            f"{ENDED} with 1: {FAILED}",
            "correct what it names, then run again: the kernels start with the images they had before",
        ),
        (
            fails(0, "update-initramfs: Not updating initramfs."),
            f"{ENDED} with 0: update-initramfs: Not updating initramfs.",
            "set update_initramfs=yes in /etc/initramfs-tools/update-initramfs.conf, then run again",
        ),
        (
            fails(1, "cat: write error: No space left on device"),
            "/boot is full: 7.0 MB (7000000 bytes) are free",
            NO_SPACE,
        ),
    ],
)
def test_a_failure_is_named_and_runs_again(
    box: FakeBox,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[..., tuple[int, list[str]]],
    message: str,
    hint: str,
) -> None:
    monkeypatch.setattr("provisioner.target.system.ways.free_bytes", lambda _: 7_000_000)
    box.program("update-initramfs", program)
    with pytest.raises(TargetError) as caught:
        again(box)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    box.program("update-initramfs")
    assert again(box) == MADE % "the last time did not come to its end"


def test_a_full_boot_is_named_before_anything_begins(box: FakeBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioner.target.system.ways.free_bytes", lambda _: 3_000_000)
    with pytest.raises(TargetError) as caught:
        again(box)
    assert caught.value.message == FULL
    assert box.ran == []


def test_a_boot_that_cannot_be_written_is_named(box: FakeBox) -> None:
    box.write(
        "/proc/self/mountinfo",
        MACHINE + "26 25 8:2 / /boot ro - ext4 /dev/sda2 rw\n",
    )
    with pytest.raises(TargetError, match="/boot is mounted read-only") as caught:
        again(box)
    assert caught.value.hint == "remount it (`mount -o remount,rw /boot`), then run again"


def test_what_should_have_come_out_and_did_not(box: FakeBox) -> None:
    def eats(*_: str) -> tuple[int, list[str]]:
        box.path("/boot/initrd.img-6.1.0-1-amd64").unlink()
        return 0, []

    box.program("update-initramfs", eats)
    with pytest.raises(TargetError, match=r"was made anew, and /boot/initrd.img-6.1.0-1-amd64 is not there"):
        again(box)


# --- the ways -------------------------------------------------------------------------------------------

CA = "/usr/local/share/ca-certificates/own.crt"
UNIT = "/etc/systemd/system/own.service"
GRUB = "/etc/default/grub.d/90-provisioner.cfg"
LIBRARIES = "/etc/ld.so.conf.d/own.conf"


def tools(*names: str) -> Callable[[FakeBox], None]:
    def install(box: FakeBox) -> None:
        for name in names:
            box.program(name)

    return install


def files(*paths: str) -> Callable[[FakeBox], None]:
    def write(box: FakeBox) -> None:
        for path in paths:
            box.write(path, "x")

    return write


def kernel(image: str) -> Callable[[FakeBox], None]:
    return lambda box: box.kernel("5.14.0-1.el9", image)


ALONE = "no initramfs is made on this box: it has neither update-initramfs nor dracut"
NO_KERNEL = "no kernel is installed here, so there is no initramfs to make anew"
NO_MENU = "GRUB's menu is not made on this box: it has no grub-mkconfig, or no menu"
NO_STORE = "this box has no store of trusted certificates: the package ca-certificates is not installed"
NO_ENTRIES = "systemd-boot's entries are not made by kernel-install on this box"
RASPBERRY = "the boot loader raspberry has no menu that is made out of other files"
FEDORA = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
CASES: list[tuple[str, str, list[Callable[[FakeBox], None]], list[str], str]] = [
    ("initramfs", OPTIONS, [tools("update-initramfs")], [], NO_KERNEL),
    ("initramfs", OPTIONS, [kernel("initrd.img-")], [], ALONE),
    ("initramfs", OPTIONS, [kernel("initramfs-"), tools("dracut")], ["dracut --regenerate-all --force"], ""),
    ("initramfs", OPTIONS, [kernel(""), tools("update-initramfs")], [UPDATE], ""),
    (
        "boot",
        GRUB,
        [files("/boot/grub/grub.cfg"), tools("update-grub", "grub-mkconfig")],
        ["update-grub"],
        "",
    ),
    (
        "boot",
        GRUB,
        [files("/boot/grub2/grub.cfg"), tools("grub2-mkconfig")],
        ["grub2-mkconfig -o /boot/grub2/grub.cfg"],
        "",
    ),
    ("boot", GRUB, [files("/boot/grub2/grub.cfg")], [], NO_MENU),
    ("boot", GRUB, [], [], "no boot loader is known here, so there is no boot menu to make anew"),
    ("boot", GRUB, [files("/boot/firmware/cmdline.txt")], [], RASPBERRY),
    (
        "boot",
        GRUB,
        [files("/boot/grub/grub.cfg", "/run/systemd/container"), tools("update-grub")],
        [],
        "this is a container (x): its host's boot loader starts the kernel",
    ),
    (
        "boot",
        GRUB,
        [files("/boot/loader/loader.conf"), kernel(""), tools("kernel-install")],
        ["kernel-install add 5.14.0-1.el9 /boot/vmlinuz-5.14.0-1.el9"],
        "",
    ),
    ("boot", GRUB, [files("/boot/loader/loader.conf"), kernel("")], [], NO_ENTRIES),
    ("units", UNIT, [files("/run/systemd/system/x"), tools("systemctl")], ["systemctl daemon-reload"], ""),
    ("units", UNIT, [tools("systemctl")], [], "systemd does not run here, so it has no units to read anew"),
    (
        "trust",
        CA,
        [files("/etc/ssl/certs/ca-certificates.crt"), tools("update-ca-certificates")],
        ["update-ca-certificates --fresh"],
        "",
    ),
    ("trust", CA, [files(FEDORA), tools("update-ca-trust")], ["update-ca-trust extract"], ""),
    ("trust", CA, [], [], NO_STORE),
    ("loader", LIBRARIES, [files("/etc/ld.so.cache"), tools("ldconfig")], ["ldconfig"], ""),
    ("loader", LIBRARIES, [], [], "this box has no ldconfig: its loader keeps no cache"),
]


@pytest.mark.parametrize(("what", "path", "has", "ran", "said"), CASES)
def test_each_thing_is_made_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, path: str,
    has: list[Callable[[FakeBox], None]], ran: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("os.sync", lambda: None)
    box = FakeBox(tmp_path, {path: "x"})
    for add in has:
        add(box)
    name = ways.NAMES[what]
    assert again(box, what, (path,)) == (said or f"{name} was made anew: {path} has changed")
    assert again(box, what, (path,)) == (said or f"{name} is as it was made last")
    assert box.ran == ran


def test_a_container_with_a_kernel_of_its_own_makes_its_image(box: FakeBox) -> None:
    box.write("/proc/self/mountinfo", CONTAINER)
    assert again(box) == MADE % f"{OPTIONS} has changed"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"what": "grub"}, "'grub' is nothing that can be made anew"),
        ({"inputs": []}, "inputs: a list of absolute paths is needed, not []"),
        ({"inputs": ["etc"]}, "inputs: a list of absolute paths is needed, not ['etc']"),
        ({"inputs": "/etc"}, "inputs: a list of absolute paths is needed, not '/etc'"),
        ({"state": "x"}, "state: an absolute path is needed, not 'x'"),
    ],
)
def test_a_request_that_makes_no_sense(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TargetError) as caught:
        main({"what": "units", "inputs": ["/etc"], "state": "/s", **wrong})
    assert caught.value.message == message
