from __future__ import annotations

import pytest

from provisioner.target.system.packages import apt_output
from provisioner.target.system.packages.apt_output import Step
from provisioner.target.system.packages.base import Change, Package

# As apt 2.6 and 3.0 said it, shortened.
SIMULATED = """\
NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  nvidia-driver
Remv libnvidia-gl-535 [535.183.01-0ubuntu1] [nvidia-driver-535:amd64 ]
Remv nvidia-driver-535 [535.183.01-0ubuntu1]
Purg left-over [1.0]
Inst libc6 [2.41-12] (2.41-12+deb13u2 Debian:13.4/stable, Debian-Security:13/stable-security [amd64])
Inst libc6:i386 [2.41-12] (2.41-12+deb13u2 Debian:13.4/stable [i386])
Inst nvidia-driver (550.163.01-2 Debian:13.4/stable [amd64]) []
Inst local (1:2.0-1 local-deb [all])
Conf libc6 (2.41-12+deb13u2 Debian:13.4/stable [amd64])
Inst swapped [1.0] (2.0 Debian:13.4/stable [amd64])
"""


def test_a_simulation_is_a_change() -> None:
    there = {"libnvidia-gl-535", "nvidia-driver-535", "libc6", "libc6:i386", "swapped"}
    installed = {name: Package("1", "amd64") for name in there}
    assert apt_output.change(SIMULATED.splitlines(), installed) == Change(
        installs={"nvidia-driver": "550.163.01-2", "local": "1:2.0-1"},
        replaces={
            "libc6": ("2.41-12", "2.41-12+deb13u2"),
            "libc6:i386": ("2.41-12", "2.41-12+deb13u2"),
            "swapped": ("1.0", "2.0"),
        },
        removes={"libnvidia-gl-535": "535.183.01-0ubuntu1", "nvidia-driver-535": "535.183.01-0ubuntu1"},
    )


@pytest.mark.parametrize(
    ("told", "disk"),
    [
        ("After this operation, 136 kB of additional disk space will be used.", 136_000),
        ("After this operation, 1,234 MB of additional disk space will be used.", 1_234_000_000),
        ("After this operation, 12.5 MB disk space will be freed.", -12_500_000),
        ("After this operation, 0 B of additional disk space will be used.", 0),
    ],
)
def test_sizes_are_those_of_what_is_not_here_yet(told: str, disk: int) -> None:
    said = [
        "Need to get 30.9 kB of archives.",
        told,
        "'http://m/debian/pool/l/libx_0.04-11_amd64.deb' libx_0.04-11_amd64.deb 9496 MD5Sum:c73f",
        "'http://m/debian/pool/c/cowsay_3.03%2bdfsg2-8_all.deb' cowsay_3.03+dfsg2-8_all.deb 21372 SHA256:33",
        "'file:/srv/pool/here.deb' here.deb 100000 ",
    ]
    assert apt_output.sizes(said) == (30_868, disk)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        (
            "dlstatus:1:17.5:Retrieving file 1 of 3 (5s remaining)",
            Step(True, 17.5, "Retrieving file 1 of 3 (5s remaining)"),
        ),
        (
            "pmstatus:libc6:amd64:41.6667:Preparing libc6:amd64",
            Step(False, 41.6667, "Preparing libc6:amd64"),
        ),
        ("pmstatus:dpkg-exec:0:Running dpkg", Step(False, 0.0, "Running dpkg")),
        ("pmerror:small-bad:80.0:exit status 3", Step(False, 80.0, "exit status 3")),
        ("pmconffile:odd", Step(False, 0.0, "")),
        ("Setting up libc6 (2.41) ...", None),
        ("E: dlstatus", None),
    ],
)
def test_steps_are_told_apart_from_what_else_apt_says(line: str, step: Step | None) -> None:
    assert apt_output.step(line) == step


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "Loading new nvidia-current/550.163.01 DKMS files...",
            "building kernel modules for nvidia-current",
        ),
        (
            "Loading new nvidia-current-550.163.01 DKMS files...",
            "building kernel modules for nvidia-current",
        ),
        ("Building for 6.12.0 and 6.12.1", None),
        (
            "Building initial module nvidia-current/550.163.01 for 6.12.74+deb13-cloud-amd64",
            "building kernel modules for nvidia-current (kernel 6.12.74+deb13-cloud-amd64)",
        ),
        ("Building initial module for 6.1.0-18-amd64", "building kernel modules (kernel 6.1.0-18-amd64)"),
        ("Setting up dkms (3.2) ...", None),
    ],
)
def test_modules_that_dkms_builds_are_a_phase(line: str, words: str | None) -> None:
    assert apt_output.module_built(line) == words


def test_archives_are_called_as_apt_calls_them() -> None:
    assert (
        apt_output.archive_name("libx:i386", Package("1:2.0%3+b1", "i386")) == "libx_1%3a2.0%253+b1_i386.deb"
    )


def test_a_change_in_a_few_words() -> None:
    change = Change({"a": "1", "b": "1"}, {"c": ("1", "2")}, {}, 12_300_000)
    assert apt_output.summary(change) == "2 to install, 1 to replace, 12 MB to fetch"
