"""What a module is built with, what starts next, and the kernel's options."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import KernelImage
from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import Row, absent, ask, case, check, elsewhere, hidden

INSTALLING = Needs(profile="autoglm", gpu=True, driver=True)
ON_PROCESSOR = Needs(profile="small", gpu=False)
NOW, NEXT = "6.1.0-18-amd64", "6.1.0-21-amd64"
LXC: dict[str, Any] = {"os": {"container": "lxc"}}
OUTSIDE = "not seen from inside a container: run this on the machine that runs it"
MISSING = "are not here: no driver can be built for it"


def software(gpus: int = 1, **said: Any) -> dict[str, Any]:
    more: dict[str, Any] = {key: said.pop(key) for key in ("needs", "os") if key in said}
    return {"gpus": gpus, "software": said, **more}


def kernels(*found: KernelImage, **more: Any) -> dict[str, Any]:
    return software(kernels=found, **more)


def line(text: str, **more: Any) -> dict[str, Any]:
    return software(command_line=f"BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro {text}", **more)


HERE, THERE = KernelImage(NOW, headers=True, gcc="12.2.0"), KernelImage(NEXT, headers=True, gcc="12.2.0")
BARE, BARE_NEXT = KernelImage(NOW, headers=False), KernelImage(NEXT, headers=False)

ROWS = [
    Row("here", "kernel.headers", kernels(HERE), f"pass: The headers of {NOW} are here"),
    Row(
        "for both", "kernel.headers", kernels(HERE, THERE), f"pass: The headers of {NOW} and {NEXT} are here"
    ),
    Row(
        "missing",
        "kernel.headers",
        kernels(BARE),
        f"warn warning kernel:{NOW}: The headers of the running kernel, {NOW}, {MISSING}",
        actor="system",
    ),
    Row(
        "missing, and the driver came ready-built",
        "kernel.headers",
        software(kernels=(BARE,), module_file="550.54.14"),
        f"pass info kernel:{NOW}: The headers of the running kernel, {NOW}, {MISSING}",
    ),
    Row(
        "another gcc, and the module is there all the same",
        "kernel.compiler",
        software(kernels=(HERE,), gcc="11", module_file="550.54.14"),
        "pass info likely: gcc is 11, and the kernel was built by 12.2.0: a driver's module may not build",
    ),
    Row(
        "missing before an installation",
        "kernel.headers",
        kernels(HERE, BARE_NEXT, needs=INSTALLING),
        f"pass info kernel:{NEXT}: The headers of the next kernel, {NEXT}, {MISSING}",
    ),
    Row(
        "missing for both",
        "kernel.headers",
        kernels(BARE, BARE_NEXT),
        (
            f"warn warning kernel:{NOW}: The headers of the running kernel, {NOW}, {MISSING}",
            f"warn warning kernel:{NEXT}: The headers of the next kernel, {NEXT}, {MISSING}",
        ),
    ),
    Row(
        "unread",
        "kernel.headers",
        software(kernels=hidden("/lib/modules is not there")),
        "unknown: Whether the kernel's headers are here: /lib/modules is not there",
    ),
    Row(
        "WSL",
        "kernel.headers",
        software(kernels=elsewhere("Windows brings the kernel"), os={"wsl": True}),
        "not_applicable: Whether the kernel's headers are here: Windows brings the kernel",
    ),
    Row("nothing to build", "kernel.headers", kernels(BARE, gpus=0), ()),
    Row("nothing to build for the processor", "kernel.headers", kernels(BARE, needs=ON_PROCESSOR), ()),
    Row(
        "the same",
        "kernel.compiler",
        software(kernels=(HERE,), gcc="12"),
        "pass: gcc 12 is of the version that built the kernel",
    ),
    Row(
        "another",
        "kernel.compiler",
        software(kernels=(HERE,), gcc="13"),
        "warn warning likely: gcc is 13, and the kernel was built by 12.2.0: a driver's module may not build",
        actor="system",
    ),
    Row(
        "none yet",
        "kernel.compiler",
        software(kernels=(HERE,), gcc=absent("there is no gcc")),
        "pass info: There is no gcc yet: what builds a driver brings it",
    ),
    Row(
        "a kernel that does not say",
        "kernel.compiler",
        software(kernels=(BARE,), gcc="12"),
        "unknown: Which gcc built the kernel: it does not say",
    ),
    Row(
        "unread",
        "kernel.compiler",
        software(kernels=(HERE,), gcc=hidden("no file says which version it is")),
        "unknown: Which gcc is here: no file says which version it is",
    ),
    Row("nothing to build", "kernel.compiler", software(gpus=0, kernels=(HERE,), gcc="13"), ()),
    Row("all built", "kernel.dkms", software(dkms_failed=()), "pass: DKMS has built all its modules"),
    Row("no DKMS", "kernel.dkms", software(dkms_failed=absent()), "pass: DKMS builds nothing here"),
    Row(
        "the driver",
        "kernel.dkms",
        software(dkms_failed=(f"nvidia/550.54.14 for {NEXT}: no headers",)),
        f"warn high: DKMS has not built 1 module: nvidia/550.54.14 for {NEXT}: no headers",
        actor="system",
    ),
    Row(
        "the driver, model on the processor",
        "kernel.dkms",
        software(dkms_failed=(f"nvidia/550.54.14 for {NEXT}: no headers",), needs=ON_PROCESSOR),
        f"warn warning: DKMS has not built 1 module: nvidia/550.54.14 for {NEXT}: no headers",
    ),
    Row(
        "unread",
        "kernel.dkms",
        software(dkms_failed=hidden()),
        "unknown: Whether DKMS has built its modules: only root may read it",
    ),
    Row(
        "container",
        "kernel.dkms",
        software(dkms_failed=(), **LXC),
        f"not_applicable: Modules that DKMS builds: {OUTSIDE}",
    ),
    Row(
        "none",
        "kernel.reboot",
        software(reboot_wanted_by=(), kernels=(HERE,)),
        "pass: No restart is waited for",
    ),
    Row(
        "by packages",
        "kernel.reboot",
        software(reboot_wanted_by=("linux-base", "libc6"), kernels=(HERE,)),
        "warn warning: A restart is waited for by linux-base and libc6",
        actor="system",
    ),
    Row(
        "by something",
        "kernel.reboot",
        software(reboot_wanted_by=("",), kernels=(HERE,)),
        "warn warning: A restart is waited for",
    ),
    Row(
        "another kernel next",
        "kernel.reboot",
        software(reboot_wanted_by=hidden(), kernels=(HERE, THERE)),
        f"warn warning: The next start takes the kernel {NEXT}",
    ),
    Row(
        "both",
        "kernel.reboot",
        software(reboot_wanted_by=("linux-image-amd64",), kernels=(HERE, THERE)),
        "warn warning: A restart is waited for by linux-image-amd64, "
        f"and the next start takes the kernel {NEXT}",
    ),
    Row(
        "no notes",
        "kernel.reboot",
        software(reboot_wanted_by=hidden("nothing notes it here"), kernels=(HERE,)),
        "unknown: Whether a restart is waited for: nothing notes it here",
    ),
    Row(
        "plain",
        "kernel.options",
        line("quiet splash"),
        "pass: The kernel was started with nothing out of the ordinary",
    ),
    Row(
        "worth knowing",
        "kernel.options",
        line("mitigations=off"),
        "pass info option:mitigations=off: The kernel's option mitigations=off "
        "trades the protection against attacks on the processor for some speed",
    ),
    Row(
        "memory left out",
        "kernel.options",
        line("mem=8G"),
        "warn warning option:mem=8G: The kernel's option mem=8G limits how much memory the kernel uses",
        actor="kernel",
    ),
    Row(
        "a value in a list",
        "kernel.options",
        line("pci=realloc,nommconf"),
        "warn warning option:pci=realloc,nommconf: The kernel's option pci=realloc,nommconf "
        "hides the devices' extended configuration space: Resizable BAR, ACS and errors "
        "are neither seen nor set",
    ),
    Row(
        "unread",
        "kernel.options",
        software(command_line=hidden("/proc is not there")),
        "unknown: What the kernel was started with: /proc is not there",
    ),
    Row(
        "container",
        "kernel.options",
        line("mem=8G", **LXC),
        f"not_applicable: The kernel's command line: {OUTSIDE}",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_kernel_is_judged(row: Row) -> None:
    check(row)


@pytest.mark.parametrize(
    ("os", "step", "fix"),
    [
        ({}, f"`sudo apt-get install linux-headers-{NOW}`", "kernel-headers"),
        ({"id": "fedora"}, f"`sudo dnf install kernel-devel-{NOW}`", ""),
        ({"id": "void"}, f"Install the headers of {NOW}, as this system names them.", ""),
    ],
)
def test_headers_are_fixed_and_named_as_each_system_does(os: dict[str, Any], step: str, fix: str) -> None:
    (found,) = ask("kernel.headers", case(**kernels(BARE, os=os)))
    assert found.remedy is not None
    assert (found.remedy.steps, found.remedy.fix) == ((step,), fix)


@pytest.mark.parametrize(
    ("wsl", "step"),
    [(True, "`wsl --shutdown` in Windows, and start again."), (False, "Restart: `sudo systemctl reboot`.")],
)
def test_how_it_is_restarted(wsl: bool, step: str) -> None:
    (found,) = ask("kernel.reboot", case(**software(reboot_wanted_by=("libc6",)), os={"wsl": wsl}))
    assert found.remedy is not None
    assert found.remedy.steps == (step,)
