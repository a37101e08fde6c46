from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import packages
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]


def entry(name: str, status: str, version: str = "1", architecture: str = "amd64") -> str:
    return (
        f"Package: {name}\nStatus: {status}\nPriority: optional\nSection: misc\nMaintainer: Somebody <a@b>\n"
        f"Architecture: {architecture}\nVersion: {version}\nDescription: text\n .\n Status: no field\n"
    )


def status(*entries: str) -> bytes:
    return "\n".join(entries).encode()


WHOLE = "install ok installed"


def test_what_is_held_and_what_was_left_half_way() -> None:
    found = packages.parse(
        status(
            entry("bash", WHOLE),
            entry("linux-image-amd64", "hold ok installed"),
            entry("libc6", WHOLE),
            entry("libc6", "hold ok installed", architecture="i386"),
            entry("nvidia-dkms-550", "install ok half-configured", "550.1-1"),
            entry("unpacked", "install ok unpacked"),
            entry("bad", "install reinstreq half-installed"),
            entry("waits", "install ok triggers-awaited"),
            entry("due", "install ok triggers-pending"),
            entry("wanted-but-gone", "hold ok not-installed"),
            entry("removed", "deinstall ok config-files"),
            entry("on-its-way-out", "deinstall ok installed"),
            entry("never", "install ok not-installed"),
        ),
        [],
    )
    assert packages.held(found)["value"] == ["libc6", "linux-image-amd64"]
    assert packages.half_configured(found)["value"] == [
        "bad (half-installed)",
        "due (triggers-pending)",
        "nvidia-dkms-550 (half-configured)",
        "unpacked (unpacked)",
        "waits (triggers-awaited)",
    ]


DRIVERS = (
    "nvidia-driver-550",
    "nvidia-driver",
    "nvidia-open",
    "nvidia-kernel-dkms",
    "nvidia-dkms-550-open",
    "libcuda1",
    "libnvidia-compute-550",
    "libnvidia-ml1",
    "linux-modules-nvidia-550-generic",
    "cuda-drivers-550",
    "xserver-xorg-video-nvidia",
    "nvidia-tesla-470-driver",
    "nvidia-firmware-550-550.1",
    "nvidia-utils-550",
)
OTHERS = (
    "nvidia-container-toolkit",
    "libnvidia-container1",
    "nvidia-cuda-toolkit",
    "cuda-toolkit-12-4",
    "nvidia-docker2",
    "nvidia-cudnn",
    "cuda-keyring",
    "linux-image-nvidia",
    "nvidia-cg-toolkit",
    "libcudart12",
    "nvidia-gds-12-4",
    "nvidia-prime",
    "libnvidia-ml-dev",
    "libnvidia-egl-wayland1",
)


def test_the_packages_of_a_driver_and_those_that_only_sound_like_it() -> None:
    found = packages.parse(status(*(entry(name, WHOLE, "550.1") for name in (*DRIVERS, *OTHERS))), [])
    assert {one.name for one in found.driver} == set(DRIVERS)
    assert {one.version for one in found.driver} == {"550.1"}
    gone = packages.parse(status(*(entry(name, "deinstall ok config-files") for name in DRIVERS)), [])
    assert gone.driver == []


def test_the_first_and_the_last_entry_count() -> None:
    held = entry("first", "hold ok installed")
    assert packages.held(packages.parse(status(held, entry("b", WHOLE)), []))["value"] == ["first"]
    assert packages.held(packages.parse(status(entry("b", WHOLE), held).rstrip(), []))["value"] == ["first"]


def test_a_stopped_dpkg_left_newer_entries() -> None:
    data = status(entry("a", WHOLE), entry("b", "install ok half-configured"))
    newer = [entry("a", "install ok unpacked").encode(), entry("b", WHOLE).encode() + b"\n#padding\n"]
    found = packages.parse(data, newer)
    assert packages.half_configured(found)["value"] == ["a (unpacked)"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 99, b"rubbish\n\n", b"Status: hold ok installed\n", b"Package: a\nStatus: hold\n"],
    ids=["empty", "zeros", "rubbish", "nameless", "short status"],
)
def test_what_is_no_database(data: bytes) -> None:
    with pytest.raises(Malformed):
        packages.parse(data, [])


@given(st.binary(max_size=300), st.integers(0, 400), st.lists(st.binary(max_size=60), max_size=2))
def test_whatever_the_database_holds(noise: bytes, cut: int, journal: list[bytes]) -> None:
    whole = status(entry("a", "hold ok installed"), entry("nvidia-driver", "install ok unpacked"))
    for data in (noise, whole[:cut], whole[:cut] + noise, noise + whole):
        try:
            found = packages.parse(data, journal)
        except Malformed:
            continue
        assert len(found.odd) <= len(data)


def look(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    found = packages.packages(Box(str(root)))
    return packages.held(found), packages.half_configured(found)


def test_a_machine(plant: Plant) -> None:
    root = plant({
        "/var/lib/dpkg/status": status(entry("a", "hold ok installed"), entry("b", WHOLE)),
        "/var/lib/dpkg/updates/0001": entry("b", "install ok unpacked"),
        "/var/lib/dpkg/updates/0002": entry("b", "install ok half-configured"),
        "/var/lib/dpkg/updates/tmp.i": "half a",
    })  # fmt: skip
    held, half = look(root)
    assert (held["state"], held["value"], held["source"]) == ("read", ["a"], "/var/lib/dpkg/status")
    assert half["value"] == ["b (half-configured)"]


@pytest.mark.parametrize(
    ("files", "state", "why"),
    [
        ({}, "hidden", "the recorded tree has no package database"),
        ({"/var/lib/rpm/": ""}, "hidden", "rpm's database is read by rpm alone: rpm -qa '*nvidia*'"),
        ({"/var/lib/dpkg/status": "no\n"}, "error", "it has no entry"),
        ({"/var/lib/dpkg/status/": ""}, "hidden", "/var/lib/dpkg/status: Is a directory"),
        ({"/var/lib/dpkg/status": "-> status"}, "hidden",
         "/var/lib/dpkg/status: Too many levels of symbolic links"),
        ({"/var/lib/dpkg/status": status(entry("a", WHOLE)), "/var/lib/dpkg/updates/1/": ""}, "hidden",
         "/var/lib/dpkg/updates: Is a directory"),
    ],
)  # fmt: skip
def test_a_machine_that_does_not_tell(plant: Plant, files: dict[str, Any], state: str, why: str) -> None:
    held, half = look(plant(files))
    assert (held["state"], held["why"]) == (state, why)
    assert half == held


def test_a_pipe_in_the_databases_place_is_waited_for_by_nobody(plant: Plant) -> None:
    root = plant({"/var/lib/dpkg/": ""})
    os.mkfifo(root / "var/lib/dpkg/status")
    assert look(root)[0]["state"] == "error"


def test_an_entry_that_dpkg_takes_away_while_it_is_read(plant: Plant) -> None:
    files = {"/var/lib/dpkg/status": status(entry("a", WHOLE)), "/var/lib/dpkg/updates/0000": "-> gone"}
    held, half = look(plant(files))
    assert (held["state"], held["why"]) == (
        "hidden",
        "packages are being installed at this moment: look again",
    )
    assert half == held


def test_nothing_is_said_of_a_moment_when_packages_change(plant: Plant) -> None:
    root = plant({
        "/var/lib/dpkg/status": status(entry("a", "install ok half-configured")),
        "/var/lib/dpkg/lock": "",
        "/proc/": "",
    })  # fmt: skip
    (root / "proc/locks").symlink_to("/proc/locks")
    with (root / "var/lib/dpkg/lock").open("w") as lock:
        assert look(root)[1]["state"] == "read"
        fcntl.lockf(lock, fcntl.LOCK_EX)
        half = look(root)[1]
    assert half["state"] == "hidden"
    assert half["why"] == f"packages are being installed at this moment (process {os.getpid()}): look again"
