from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from provisioner.audit import Board
from provisioner.facts import Cpu
from provisioner.preflight.finding import Remedy
from provisioner.preflight.purpose import infer
from provisioner.preflight.remedies import by_hand, in_firmware, kernel_option
from tests.unit.preflight.cases import absent, case

ASUS = Board(board_vendor="ASUSTeK COMPUTER INC.", sys_vendor="ASUS", board_name="ROG STRIX Z790-F")
OTHER = Board(board_vendor="Biostar", sys_vendor="BIOSTAR Group", board_name="Z790 VALKYRIE")
DELL = Board(sys_vendor="Dell Inc.", product_name="PowerEdge R750xa", board_vendor="Dell Inc.")
INTEL = {"facts": {"cpu": Cpu("13th Gen Intel(R) Core(TM) i9-13900K")}}
CSM = "usually Boot > CSM (Compatibility Support Module) > Launch CSM"
PCI = "usually Advanced > PCI Subsystem Settings > "
MMIO = "usually System BIOS > Integrated Devices > Memory Mapped I/O above 4 GB"
BY_KEY = "Restart, and press Del or F2 as it starts, for the firmware's menus."
ANY_KEY = "Restart, and press Del, F2 or what the screen says as it starts, for the firmware's menus."
SAVE = "Save, and let it start."
LEGACY = (
    "This system was installed to start without UEFI: with CSM off it does not start any more. "
    "Install it anew by UEFI first, or give it a GPT disk with an EFI partition and a loader in it."
)


def asus(**firmware: Any) -> dict[str, Any]:
    return {"firmware": {"board": ASUS, **firmware}}


@pytest.mark.parametrize(
    ("given", "asked", "remedy"),
    [
        pytest.param(
            asus(boot_mode="uefi", enters_setup=True),
            {"setting": "rebar", "state": "on"},
            Remedy(
                "firmware",
                (
                    "Restart into the firmware's menus: `sudo systemctl reboot --firmware-setup`.",
                    f"Switch CSM off, where it is not yet ({CSM}).",
                    f"Switch Above 4G Decoding on, where it is not yet ({PCI}Above 4G Decoding).",
                    f"Switch Resizable BAR on ({PCI}Re-Size BAR Support).",
                    SAVE,
                ),
                reboot=True,
                menu=f"{PCI}Re-Size BAR Support (ASUS)",
            ),
            id="CSM and Above 4G come before Resizable BAR",
        ),
        pytest.param(
            asus(boot_mode="legacy", enters_setup=absent()),
            {"setting": "csm", "state": "off", "risk": "Have a backup."},
            Remedy(
                "firmware",
                (BY_KEY, f"Switch CSM off ({CSM}).", SAVE),
                reboot=True,
                risk=f"Have a backup. {LEGACY}",
                menu=f"{CSM} (ASUS)",
            ),
            id="CSM off does not start a legacy system",
        ),
        pytest.param(
            asus(),
            {"setting": "csm", "state": "off"},
            Remedy(
                "firmware",
                (BY_KEY, f"Switch CSM off ({CSM}).", SAVE),
                reboot=True,
                risk="A system that was installed to start without UEFI "
                "does not start any more with CSM off.",
                menu=f"{CSM} (ASUS)",
            ),
            id="how the system starts is not known",
        ),
        pytest.param(
            asus() | INTEL,
            {"setting": "virtualization", "state": "on", "before": ("Shut all guests down.",)},
            Remedy(
                "firmware",
                (
                    "Shut all guests down.",
                    BY_KEY,
                    (
                        "Switch CPU virtualization on "
                        "(usually Advanced > CPU Configuration > Intel (VMX) Virtualization Technology)."
                    ),
                    SAVE,
                ),
                reboot=True,
                menu="usually Advanced > CPU Configuration > Intel (VMX) Virtualization Technology (ASUS)",
            ),
            id="the processor's maker decides",
        ),
        pytest.param(
            asus(),
            {"setting": "virtualization", "state": "on"},
            Remedy(
                "firmware",
                (
                    BY_KEY,
                    (
                        "Switch CPU virtualization on (see the manual of the "
                        "ASUSTeK COMPUTER INC. ROG STRIX Z790-F; "
                        "also called Intel Virtualization Technology, VT-x, VMX, SVM Mode, AMD-V)."
                    ),
                    SAVE,
                ),
                reboot=True,
            ),
            id="a processor of an unknown maker has no menu",
        ),
        pytest.param(
            {"firmware": {"board": DELL, "boot_mode": "uefi"}},
            {"setting": "above-4g", "state": "on"},
            Remedy(
                "firmware",
                (
                    "Restart, and press F2 as it starts, for the firmware's menus.",
                    (
                        "Switch Above 4G Decoding on "
                        "(usually System BIOS > Integrated Devices > Memory Mapped I/O above 4 GB)."
                    ),
                    SAVE,
                ),
                reboot=True,
                menu=f"{MMIO} (Dell PowerEdge)",
            ),
            id="a server",
        ),
        pytest.param(
            {"firmware": {"board": OTHER}},
            {"setting": "memory-speed", "state": "XMP"},
            Remedy(
                "firmware",
                (
                    ANY_KEY,
                    (
                        "Set the memory's profile to XMP (see the manual of the Biostar Z790 VALKYRIE; "
                        "also called XMP, EXPO, DOCP, Memory Frequency)."
                    ),
                    SAVE,
                ),
                reboot=True,
            ),
            id="a maker nobody knows",
        ),
        pytest.param(
            {},
            {"setting": "secure-boot", "state": "off"},
            Remedy(
                "firmware",
                (
                    ANY_KEY,
                    "Switch Secure Boot off (see the manual of the board).",
                    SAVE,
                ),
                reboot=True,
            ),
            id="a board that could not be read",
        ),
        pytest.param(
            asus() | {"sight": {"virtualization": "kvm"}},
            {"setting": "above-4g", "state": "on", "risk": "The guest restarts."},
            Remedy(
                "host",
                (
                    "Go to the hypervisor of this guest (kvm), or ask whoever runs it.",
                    "Switch Above 4G Decoding on.",
                ),
                reboot=True,
                risk="The guest restarts.",
            ),
            id="a guest's firmware is its host's",
        ),
        pytest.param(
            {"os": {"container": "docker"}},
            {"setting": "vt-d", "state": "on"},
            Remedy(
                "host",
                (
                    "Go to the host of this docker container, or ask whoever runs it.",
                    "Switch Intel VT-d on.",
                ),
                reboot=True,
            ),
            id="a container",
        ),
        pytest.param(
            {"os": {"wsl": True}},
            {"setting": "rebar", "state": "on"},
            Remedy(
                "host",
                (
                    "Go to the Windows machine around this WSL, or ask whoever runs it.",
                    "Switch Resizable BAR on.",
                ),
                reboot=True,
            ),
            id="WSL",
        ),
    ],
)
def test_a_setting_in_the_firmware(
    given: Mapping[str, Any], asked: Mapping[str, Any], remedy: Remedy
) -> None:
    assert in_firmware(case(**given), **asked) == remedy


EL = {"id": "rocky", "version_id": "9.4", "like": ("rhel centos fedora",)}
SUSE = {"id": "opensuse-leap", "like": ("suse", "opensuse")}
GRUB = {"firmware": {"loader": "grub"}}
SYSTEMD_BOOT = {"firmware": {"loader": "systemd-boot 252.39-1~deb12u1"}}
OSTREE = {"software": {"command_line": "BOOT_IMAGE=/ostree/vmlinuz rw ostree=/ostree/boot.0/fedora/1/0"}}


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (
            GRUB,
            (
                (
                    "`echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX iommu=pt\"' "
                    "| sudo tee /etc/default/grub.d/90-iommu-pt.cfg`"
                ),
                "`sudo update-grub`",
                "Restart.",
            ),
        ),
        (GRUB | {"os": EL}, ("`sudo grubby --update-kernel=ALL --args='iommu=pt'`", "Restart.")),
        (
            GRUB | {"os": SUSE},
            (
                "Add `iommu=pt` to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub.",
                "`sudo grub2-mkconfig -o /boot/grub2/grub.cfg`",
                "Restart.",
            ),
        ),
        (
            {"firmware": {"loader": "GRUB 2.06"}, "os": {"id": "arch"}},
            (
                "Add `iommu=pt` to GRUB_CMDLINE_LINUX in /etc/default/grub.",
                "`sudo grub-mkconfig -o /boot/grub/grub.cfg`",
                "Restart.",
            ),
        ),
        (
            SYSTEMD_BOOT,
            (
                (
                    "See that /etc/kernel/cmdline is there; where it is not, make it of /proc/cmdline, "
                    "without initrd= "
                    "and BOOT_IMAGE=: `sed -E 's/(initrd|BOOT_IMAGE)=[^ ]* ?//g' /proc/cmdline "
                    "| sudo tee /etc/kernel/cmdline`"
                ),
                (
                    "Add `iommu=pt` at the end of its one line: "
                    "`sudo sed -i 's|$| iommu=pt|' /etc/kernel/cmdline`"
                ),
                (
                    'Write the loader\'s entry anew: `sudo kernel-install add "$(uname -r)" '
                    '"/boot/vmlinuz-$(uname -r)"` (where the kernel is elsewhere: '
                    "/usr/lib/modules/$(uname -r)/vmlinuz)"
                ),
                "Restart.",
            ),
        ),
        (
            SYSTEMD_BOOT | {"os": {"id": "pop", "like": ("ubuntu debian",)}},
            ("`sudo kernelstub --add-options 'iommu=pt'`", "Restart."),
        ),
        (GRUB | OSTREE, ("`sudo rpm-ostree kargs --append-if-missing=iommu=pt`", "Restart.")),
        (
            {"firmware": {"loader": "raspberry-pi"}},
            (
                (
                    "Add `iommu=pt` at the end of the one line in /boot/firmware/cmdline.txt "
                    "(/boot/cmdline.txt on older releases)."
                ),
                "Restart.",
            ),
        ),
        (
            {"firmware": {"loader": "zipl"}},
            ("Add `iommu=pt` to each parameters= line in /etc/zipl.conf.", "`sudo zipl`", "Restart."),
        ),
        (
            {"firmware": {"loader": "refind"}},
            (
                (
                    "How this boot loader (refind) takes options is not known: "
                    "add `iommu=pt` to the kernel's command line in its way."
                ),
                "Restart.",
            ),
        ),
        (
            {},
            (
                (
                    "How the boot loader here takes options is not known: "
                    "add `iommu=pt` to the kernel's command line in its way."
                ),
                "Restart.",
            ),
        ),
        (
            {"os": {"wsl": True}},
            (
                (
                    "Add `iommu=pt` to kernelCommandLine under [wsl2] "
                    "in %UserProfile%\\.wslconfig on the Windows side."
                ),
                "`wsl --shutdown` in Windows, and start again.",
            ),
        ),
    ],
)
def test_an_option_for_the_kernel(given: Mapping[str, Any], steps: tuple[str, ...]) -> None:
    assert kernel_option(case(**given), "iommu=pt", risk="Check it.") == Remedy(
        "kernel", steps, reboot=True, risk="Check it."
    )


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (
            GRUB,
            (
                (
                    "Take `intel_iommu=off` out of GRUB_CMDLINE_LINUX and GRUB_CMDLINE_LINUX_DEFAULT: "
                    "`grep -rn 'intel_iommu=off' /etc/default/grub /etc/default/grub.d`"
                ),
                "`sudo update-grub`",
                "Restart.",
            ),
        ),
        (
            GRUB | {"os": EL},
            ("`sudo grubby --update-kernel=ALL --remove-args='intel_iommu=off'`", "Restart."),
        ),
        (GRUB | OSTREE, ("`sudo rpm-ostree kargs --delete-if-present=intel_iommu=off`", "Restart.")),
        (
            {},
            (
                (
                    "How the boot loader here takes options is not known: "
                    "take `intel_iommu=off` out of the kernel's command line in its way."
                ),
                "Restart.",
            ),
        ),
    ],
)
def test_an_option_that_goes(given: Mapping[str, Any], steps: tuple[str, ...]) -> None:
    assert kernel_option(case(**given), "intel_iommu=off", drop=True) == Remedy("kernel", steps, reboot=True)


def test_a_kernel_that_the_hypervisor_starts_takes_its_options_there() -> None:
    guest = case(firmware={"loader": "hypervisor"}, sight={"virtualization": "firecracker"})
    assert kernel_option(guest, "nosmt", drop=True) == Remedy(
        "host",
        (
            "Go to the hypervisor of this guest (firecracker), or ask whoever runs it.",
            "Take `nosmt` out of the kernel's command line.",
        ),
        reboot=True,
    )


def test_the_kernel_of_a_container_is_its_hosts() -> None:
    assert kernel_option(case(os={"container": "podman"}), "iommu=pt") == Remedy(
        "host",
        (
            "Go to the host of this podman container, or ask whoever runs it.",
            "Put `iommu=pt` on the kernel's command line.",
        ),
        reboot=True,
    )


def test_steps_by_hand_are_kept_as_they_are() -> None:
    assert by_hand("Open it.", "Close it.", actor="owner", risk="It is hot.", fix="time-sync") == Remedy(
        "owner", ("Open it.", "Close it."), reboot=False, risk="It is hot.", fix="time-sync"
    )


def test_a_hypervisor_that_nobody_names_is_not_called_other() -> None:
    unnamed = case(sight={"virtualization": "other"})
    assert infer(unnamed.facts) == ("guest", "a virtual machine, of what kind nothing says")
    assert in_firmware(unnamed, "csm", "off").steps[0] == (
        "Go to the hypervisor of this guest, or ask whoever runs it."
    )
