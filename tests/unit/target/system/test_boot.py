"""Options of the command line on an emulated GRUB: tried, kept, taken off."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import boot
from provisioner.target.system.loaders import DROP_IN, HEAD, SCRIPT

from .grubs import ENV, GrubBox

STATE = "/var/lib/provisioner"
OLD = "root=/dev/vda1 ro quiet"
KNOWN = ["pcie_aspm", "iommu", "pci"]
WHY = "iommu=pt on the kernel's command line"
TRIES = "the next start tries iommu=pt, and the one after it has the line as it was"


@pytest.fixture
def grub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GrubBox:
    monkeypatch.setattr("os.sync", lambda: None)
    return GrubBox(tmp_path)


def run(grub: GrubBox, *wanted: str, check: bool = False) -> tuple[bool, list[str], str | None]:
    return boot.apply(grub.box.host, STATE, list(wanted), check)


def test_nothing_is_wanted(grub: GrubBox) -> None:
    assert (run(grub), grub.box.ran) == ((False, [], None), [])


def test_an_option_is_tried_once_and_kept_when_the_machine_comes_back(grub: GrubBox) -> None:
    assert run(grub, "iommu=pt") == (True, [TRIES], WHY)
    # Asked again before the restart: the same, and nothing to do.
    assert run(grub, "iommu=pt") == (False, [], WHY)
    assert grub.start() == f"{OLD} iommu=pt panic=30"
    assert run(grub, "iommu=pt") == (True, ["the machine came back with iommu=pt, which stays"], None)
    assert grub.box.read(DROP_IN) == HEAD + (
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt"\n'
    )
    assert not grub.box.path(SCRIPT).exists()
    assert (grub.start(), grub.start()) == (f"{OLD} iommu=pt", f"{OLD} iommu=pt")
    assert run(grub, "iommu=pt") == (False, [], None)


def test_without_a_run_after_it_the_line_is_as_it_was(grub: GrubBox) -> None:
    run(grub, "iommu=pt")
    assert [grub.start(), grub.start()] == [f"{OLD} iommu=pt panic=30", OLD]


def test_a_line_that_does_not_start_falls_back_and_is_taken_off(grub: GrubBox) -> None:
    run(grub, "iommu=pt")
    assert grub.start(fails_with="iommu=pt") == OLD
    with pytest.raises(TargetError) as caught:
        run(grub, "iommu=pt")
    message = "this machine did not come back with iommu=pt on its kernel's command line"
    assert (caught.value.message, caught.value.hint) == (
        f"{message}; the line is as it was before",
        "look at that start's console, or `journalctl --boot=-1`; take it out of kernel_options_boot",
    )
    assert not grub.box.path(DROP_IN).exists()
    assert not grub.box.path(SCRIPT).exists()
    assert (grub.start(), run(grub)) == (OLD, (False, [], None))
    # Whoever asks for it again has it tried again.
    assert run(grub, "iommu=pt") == (True, [TRIES], WHY)


def test_a_trial_that_was_taken_off_with_its_role_blames_nobody(grub: GrubBox) -> None:
    run(grub, "iommu=pt")
    grub.box.path(DROP_IN).unlink()
    grub.update()
    assert grub.start() == OLD
    assert run(grub, "iommu=pt") == (True, [TRIES], WHY)


def test_a_loader_that_does_not_look_is_named(grub: GrubBox) -> None:
    run(grub, "iommu=pt")
    menu = grub.box.read("/boot/grub/grub.cfg")
    grub.box.write("/boot/grub/grub.cfg", "linux /vmlinuz " + OLD)
    grub.start()
    grub.box.write("/boot/grub/grub.cfg", menu)
    with pytest.raises(TargetError, match="the boot loader never looked at its settings, so another one"):
        run(grub, "iommu=pt")


@pytest.mark.parametrize("step", ["update-grub", "grub-editenv"])
def test_a_power_cut_while_it_is_set_blames_nobody(grub: GrubBox, step: str) -> None:
    whole = grub.box.programs[step]

    def cut(*argv: str) -> tuple[int, list[str]]:
        if step == "grub-editenv" and "set" not in argv:
            return whole(*argv)
        raise KeyboardInterrupt

    grub.box.program(step, cut)
    if step == "grub-editenv":
        grub.box.write(ENV, "saved_entry=0\n")
    with pytest.raises(KeyboardInterrupt):
        run(grub, "iommu=pt")
    grub.box.programs[step] = whole
    assert grub.start() == OLD
    assert run(grub, "iommu=pt") == (True, [TRIES], WHY)
    assert grub.start() == f"{OLD} iommu=pt panic=30"


def test_options_come_and_go_one_by_one(grub: GrubBox) -> None:
    run(grub, "iommu=pt")
    grub.start()
    run(grub, "iommu=pt")
    changed, said, why = run(grub, "iommu=pt", "pci=realloc")
    assert (changed, why) == (True, "pci=realloc on the kernel's command line")
    assert grub.start() == f"{OLD} iommu=pt pci=realloc panic=30"
    run(grub, "iommu=pt", "pci=realloc")
    assert run(grub, "pci=realloc") == (True, ["iommu=pt goes with the next start"], None)
    assert grub.start() == f"{OLD} pci=realloc"
    assert run(grub) == (True, ["pci=realloc goes with the next start"], None)
    assert (grub.start(), grub.box.path(DROP_IN).exists()) == (OLD, False)
    assert said[-1] == "the next start tries pci=realloc, and the one after it has the line as it was"


def test_a_check_changes_nothing(grub: GrubBox) -> None:
    assert run(grub, "iommu=pt", check=True) == (True, [TRIES], WHY)
    assert not grub.box.path(DROP_IN).exists()
    assert not grub.box.path(STATE).exists()
    assert grub.start() == OLD


@pytest.mark.parametrize(
    ("lies_on", "why"),
    [
        ("btrfs", "GRUB cannot write to /boot/grub, which lies on btrfs"),
        ("zfs", "GRUB cannot write to /boot/grub, which lies on zfs"),
    ],
)
def test_where_grub_cannot_write_it_is_set_plainly(tmp_path: Path, lies_on: str, why: str) -> None:
    grub = GrubBox(tmp_path, lies_on=lies_on)
    said = f"{why}: iommu=pt is set without being tried first"
    assert run(grub, "iommu=pt") == (True, [said], WHY)
    assert run(grub, "iommu=pt") == (False, [said], WHY)
    assert grub.start() == f"{OLD} iommu=pt"
    assert run(grub, "iommu=pt") == (False, [], None)
    assert grub.start() == f"{OLD} iommu=pt"
    # A later start without it, by the recovery entry say, is nobody's failure.
    grub.box.write("/proc/cmdline", OLD)
    assert run(grub, "iommu=pt")[2] == WHY


def test_plainly_set_and_not_come(tmp_path: Path) -> None:
    grub = GrubBox(tmp_path, lies_on="btrfs")
    run(grub, "iommu=pt")
    grub.box.write("/boot/grub/grub.cfg", "linux /vmlinuz " + OLD)
    grub.start()
    with pytest.raises(TargetError, match="did not come back with iommu=pt"):
        run(grub, "iommu=pt")
    assert grub.start() == OLD


def test_where_no_folder_of_settings_is_read_a_block_is_added(tmp_path: Path) -> None:
    grub = GrubBox(tmp_path, folder=False)
    before = grub.box.read("/etc/default/grub")
    run(grub, "iommu=pt")
    grub.start()
    run(grub, "iommu=pt")
    line = 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt"\n'
    added = f"# provision: begin\n{line}# provision: end\n"
    assert grub.box.read("/etc/default/grub") == before + added
    assert grub.start() == f"{OLD} iommu=pt"
    run(grub)
    assert grub.box.read("/etc/default/grub") == before


def test_what_is_live_needs_no_trial(grub: GrubBox) -> None:
    grub.box.write("/proc/cmdline", f"{OLD} iommu=pt")
    assert run(grub, "iommu=pt") == (True, [], None)
    assert grub.start() == f"{OLD} iommu=pt"


@pytest.mark.parametrize(
    "line", ['GRUB_CMDLINE_LINUX="iommu=pt"', "GRUB_CMDLINE_LINUX_DEFAULT='quiet iommu=pt' # mine"]
)
def test_what_somebody_else_has_set_stays_theirs(grub: GrubBox, line: str) -> None:
    grub.box.write("/etc/default/grub.d/50-cloudimg-settings.cfg", line + "\n")
    said = (
        "iommu=pt is in /etc/default/grub.d/50-cloudimg-settings.cfg, and the kernel was started without it"
    )
    assert run(grub, "iommu=pt") == (False, [said], WHY)
    grub.update()
    grub.start()
    assert run(grub, "iommu=pt") == (False, [], None)
    assert not grub.box.path(DROP_IN).exists()


def test_another_value_in_somebody_elses_file_is_named(grub: GrubBox) -> None:
    grub.box.write("/etc/default/grub", 'GRUB_CMDLINE_LINUX="iommu=off"\n')
    assert run(grub, "iommu=pt")[1][0] == "/etc/default/grub has iommu=off: iommu=pt comes after it and wins"


def test_a_menu_that_is_not_made_is_an_error(grub: GrubBox) -> None:
    grub.box.program("update-grub")
    with pytest.raises(TargetError, match=r"GRUB's menu /boot/grub/grub.cfg was not made with iommu=pt"):
        run(grub, "iommu=pt")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "/boot/firmware/cmdline.txt",
            "the command line of the boot loader raspberry is not set by this program: add %s to it by hand",
        ),
        ("", "no boot loader is known on this box: add %s to the kernel's command line by hand"),
    ],
)
def test_loaders_that_are_not_set(grub: GrubBox, path: str, text: str) -> None:
    for old in ("/boot/grub/grub.cfg", "/etc/default/grub"):
        grub.box.path(old).unlink()
    if path:
        grub.box.write(path, "x")
    with pytest.raises(TargetError) as caught:
        run(grub, "iommu=pt", "pci=realloc")
    assert (caught.value.message, caught.value.hint) == (
        text % "iommu=pt, pci=realloc",
        "then restart, and run again",
    )
    grub.box.write("/proc/cmdline", "pci=realloc iommu=pt")
    assert run(grub, "iommu=pt", "pci=realloc") == (False, [], None)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("iommu=pt pci=realloc", "kernel_options_boot: 'iommu=pt pci=realloc' is not one option"),
        ("", "kernel_options_boot: '' is not one option"),
        ("iommu=$pt", "kernel_options_boot: 'iommu=$pt' has a sign that boot loaders do not pass on"),
        ("--force", "kernel_options_boot: '--force' has a sign that boot loaders do not pass on"),
        ("root=/dev/sda", "kernel_options_boot: root says where this system is, or how it begins"),
    ],
)
def test_what_can_be_no_option(option: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        boot.checked([option], KNOWN)
    assert caught.value.message == message


def test_what_nobody_knows_is_said() -> None:
    silent = "the kernel says nothing of those it does not know"
    said = f"pcie_asmp is no option that is known here (did you mean pcie_aspm?); {silent}"
    assert boot.checked(["pcie_asmp=off", "iommu=pt", "systemd.unit=x"], KNOWN) == [said]
    assert boot.checked(["zzzzzz"], KNOWN)[0].startswith("zzzzzz is no option that is known here; the")
