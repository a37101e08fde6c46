from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import packages, unattended
from provisioner.target.probe.audit.aptconf import Settings
from provisioner.target.probe.audit.aptsources import Release
from provisioner.target.probe.audit.packages import Package
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

CONF = "/etc/apt/apt.conf.d/50unattended-upgrades"
LISTS = "/var/lib/apt/lists"
DEBIAN = (
    'Unattended-Upgrade::Origins-Pattern {\n  "origin=Debian,codename=${distro_codename},label=Debian";\n};\n'
)
UBUNTU = 'Unattended-Upgrade::Allowed-Origins { "${distro_id}:${distro_codename}-security"; };\n'


def machine(system: str = "debian", **more: str) -> dict[str, str]:
    """A machine with two packages of a driver, one of them held, that may replace packages overnight."""
    name, code, suite = {
        "debian": ("Debian", "bookworm", "stable"),
        "ubuntu": ("Ubuntu", "jammy", "jammy-security"),
    }[system]
    release = f"Origin: {name}\nLabel: {name}\nSuite: {suite}\nCodename: {code}\n"
    files = {
        "/etc/os-release": f"ID={system}\nVERSION_CODENAME={code}\n",
        "/usr/bin/unattended-upgrade": "",
        "/etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Unattended-Upgrade "1";\n',
        CONF: DEBIAN if system == "debian" else UBUNTU,
        "/etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer": "",
        f"{LISTS}/d.example_x_InRelease": release,
        "/var/lib/dpkg/status": (
            "Package: nvidia-driver\nStatus: install ok installed\nSection: non-free/x\nArchitecture: amd64\n"
            "Version: 535.1-1~deb12u1\n\n"
            "Package: nvidia-smi\nStatus: hold ok installed\nSection: non-free/x\nArchitecture: amd64\n"
            "Version: 535.1-1~deb12u1\n"
        ),
    }
    return {**files, **more}


def look(root: Path, system: str = "debian") -> dict[str, Any]:
    box = Box(str(root))
    facts = {"os": {"container": None, "wsl": False, "id": system}}
    return unattended.unattended(box, Sight(box, facts, {}), packages.packages(box))


FROM_NVIDIA = {
    f"{LISTS}/d.nvidia.example_cuda_InRelease": "Origin: NVIDIA\nLabel: NVIDIA CUDA\n",
    f"{LISTS}/d.nvidia.example_cuda_Packages": "Package: nvidia-driver\nVersion: 535.1-1~deb12u1\n\n",
}


@pytest.mark.parametrize(
    ("system", "more", "names"),
    [
        ("debian", {}, ["nvidia-driver"]),
        ("ubuntu", {}, ["nvidia-driver"]),
        ("debian", {CONF: DEBIAN.replace("label=Debian", "label=Debian-Security")}, []),
        ("debian", {CONF: DEBIAN.replace("${distro_codename}", "trixie")}, []),
        ("debian", {CONF: DEBIAN + 'Unattended-Upgrade::Package-Blacklist { "nvidia-"; };'}, []),
        (
            "debian",
            {CONF: DEBIAN + 'Unattended-Upgrade::Package-Blacklist { "driver$"; "("; };'},
            ["nvidia-driver"],
        ),
        ("debian", {CONF: 'Unattended-Upgrade::Origins-Pattern { "o=*,c=non-free"; };'}, ["nvidia-driver"]),
        ("debian", {CONF: 'Unattended-Upgrade::Origins-Pattern { "o=*,c=main"; "x=y"; ""; };'}, []),
        ("debian", {"/etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Unattended-Upgrade "0";'}, []),
        ("debian", {"/etc/apt/apt.conf.d/99off": 'APT::Periodic::Enable "0";'}, []),
        # NVIDIA's repository is allowed only where somebody said so.
        ("debian", FROM_NVIDIA, []),
        (
            "debian",
            {**FROM_NVIDIA, CONF: 'Unattended-Upgrade::Origins-Pattern { "site=d.nvidia.example"; };'},
            ["nvidia-driver"],
        ),
        ("ubuntu", {CONF: UBUNTU.replace("-security", "-updates")}, []),
        ("ubuntu", {CONF: UBUNTU.replace("${distro_id}:", "Ubuntu ")}, ["nvidia-driver"]),
    ],
)
def test_what_may_be_replaced(plant: Plant, system: str, more: dict[str, str], names: list[str]) -> None:
    found = look(plant({**machine(system), **more}), system)
    assert (found["state"], found["value"]) == ("read", names)


@pytest.mark.parametrize(
    ("without", "more"),
    [
        ("/usr/bin/unattended-upgrade", {}),
        ("/etc/apt/apt.conf.d/20auto-upgrades", {}),
        (None, {"/etc/systemd/system/apt-daily-upgrade.timer": "-> /dev/null"}),
        (
            "/etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer",
            {"/etc/systemd/system/timers.target.wants/other.timer": ""},
        ),
    ],
)
def test_it_is_switched_off(plant: Plant, without: str | None, more: dict[str, str]) -> None:
    files = {**machine(), **more}
    if without:
        del files[without]
    assert look(plant(files))["value"] == []


def test_a_configuration_that_apt_refuses(plant: Plant) -> None:
    found = look(plant(machine(**{CONF: "Unattended-Upgrade {"})))
    assert found["state"] == "error"
    assert found["why"] == f"{CONF}: it ends in the middle of a setting"


def test_a_system_that_never_asked_its_sources(plant: Plant) -> None:
    files = machine()
    del files[f"{LISTS}/d.example_x_InRelease"]
    assert look(plant(files))["state"] == "hidden"


def test_no_driver_no_question(plant: Plant) -> None:
    status = "Package: a\nStatus: install ok installed\nVersion: 1\n"
    assert look(plant({"/var/lib/dpkg/status": status, CONF: "{"}))["value"] == []


WANTS = "/etc/systemd/system/timers.target.wants"


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"/var/lib/rpm/": "", "/etc/dnf/": ""}, "read"),
        ({"/var/lib/rpm/": "", "/etc/dnf/": "", f"{WANTS}/dnf-automatic.timer": ""}, "hidden"),
        ({"/var/lib/rpm/": "", "/etc/dnf/": "", f"{WANTS}/dnf5-automatic.timer": ""}, "hidden"),
        ({"/var/lib/rpm/": ""}, "hidden"),
        ({}, "hidden"),
    ],
)
def test_systems_without_dpkg(plant: Plant, files: dict[str, str], state: str) -> None:
    assert look(plant(files))["state"] == state


@given(st.text(), st.text())
def test_whatever_a_pattern_says(pattern: str, pair: str) -> None:
    found = Settings()
    found.add("Unattended-Upgrade::Origins-Pattern::", pattern)
    found.add("Unattended-Upgrade::Allowed-Origins::", pair)
    found.add("Unattended-Upgrade::Package-Blacklist::", pattern)
    package = Package("nvidia-driver", "1", "installed", False, False, "x", "y")
    origin = Release("s", "Debian", "Debian", "stable", "bookworm")
    assert unattended.allowed(Box("/nowhere"), found, {"id": "debian"}, package, origin) in (True, False)
    assert unattended.excluded(found, "nvidia-driver") in (True, False)
