"""Packages that are held, left half-way, or replaced when nobody looks."""

from __future__ import annotations

import pytest

from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import Row, absent, ask, case, check, elsewhere, hidden

PLANNED = Needs(profile="autoglm")

ROWS = [
    Row("none", "packages.held", {"software": {"held": ()}}, "pass: No package is held"),
    Row(
        "others",
        "packages.held",
        {"software": {"held": ("firefox-esr", "vim")}},
        "pass info: 2 packages held back, none of driver, CUDA or kernel: firefox-esr and vim",
    ),
    Row(
        "the driver",
        "packages.held",
        {"software": {"held": ("libnvidia-compute-550", "linux-image-amd64", "vim")}},
        "warn warning: 2 packages of driver, CUDA or kernel held back: "
        "libnvidia-compute-550 and linux-image-amd64",
        actor="system",
    ),
    Row(
        "unread",
        "packages.held",
        {"software": {"held": hidden("rpm's database is read by rpm alone")}},
        "unknown: Whether packages are held: rpm's database is read by rpm alone",
    ),
    Row(
        "none",
        "packages.half-configured",
        {"software": {"half_configured": ()}},
        "pass: No package was left half-way",
    ),
    Row(
        "one",
        "packages.half-configured",
        {"software": {"half_configured": ("nvidia-dkms-550 (half-configured)",)}},
        "warn warning: 1 package left half-way: nvidia-dkms-550 (half-configured)",
        actor="system",
    ),
    Row(
        "one, and up goes on: its role has it finished",
        "packages.half-configured",
        {"software": {"half_configured": ("nvidia-dkms-550 (half-configured)",)}, "needs": PLANNED},
        "warn warning: 1 package left half-way: nvidia-dkms-550 (half-configured)",
    ),
    Row(
        "triggers, which the next installation runs",
        "packages.half-configured",
        {"software": {"half_configured": ("man-db (triggers-pending)",)}, "needs": PLANNED},
        "pass info: 1 package left half-way: man-db (triggers-pending); the next installation finishes them",
    ),
    Row(
        "triggers, and one that is not done",
        "packages.half-configured",
        {"software": {"half_configured": ("man-db (triggers-pending)", "x (unpacked)")}, "needs": PLANNED},
        "warn warning: 2 packages left half-way: man-db (triggers-pending) and x (unpacked)",
    ),
    Row(
        "at work",
        "packages.half-configured",
        {"software": {"half_configured": hidden("packages are being installed at this moment")}},
        "unknown: Whether packages were left half-way: packages are being installed at this moment",
    ),
    Row(
        "rpm",
        "packages.half-configured",
        {"software": {"half_configured": elsewhere("rpm keeps no such state")}},
        "not_applicable: Whether packages were left half-way: rpm keeps no such state",
    ),
    Row(
        "none",
        "packages.unattended",
        {"software": {"unattended": ()}},
        "pass: Nobody replaces the NVIDIA driver unasked",
    ),
    Row(
        "no such program",
        "packages.unattended",
        {"software": {"unattended": absent()}},
        "pass: Nobody replaces the NVIDIA driver unasked",
    ),
    Row(
        "the driver",
        "packages.unattended",
        {"software": {"unattended": ("libnvidia-compute-550", "nvidia-driver-550")}},
        "warn warning: The system may replace the NVIDIA driver by itself at any time: "
        "libnvidia-compute-550 and nvidia-driver-550",
        actor="system",
    ),
    Row(
        "unread",
        "packages.unattended",
        {"software": {"unattended": hidden()}},
        "unknown: Whether unattended upgrades replace the driver: only root may read it",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_packages_are_judged(row: Row) -> None:
    check(row)


def test_what_is_held_is_let_go_by_name() -> None:
    (found,) = ask("packages.held", case(software={"held": ("cuda-drivers", "vim")}))
    assert found.remedy is not None
    assert found.remedy.steps[-1] == "`sudo apt-mark unhold cuda-drivers`"


def test_unattended_upgrades_have_a_fix() -> None:
    (found,) = ask("packages.unattended", case(software={"unattended": ("nvidia-driver-550",)}))
    assert found.remedy is not None
    assert found.remedy.fix == "unattended-upgrades"
