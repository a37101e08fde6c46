from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe.audit import drivers, packages
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

DEBIAN = "/usr/lib/x86_64-linux-gnu"


def sight(box: Box, driver: str | None = None, **kind: Any) -> Sight:
    return Sight(box, {"os": {"container": None, "wsl": False, **kind}, "driver_version": driver}, {})


@pytest.mark.parametrize(
    ("files", "state", "value", "source"),
    [
        ({f"{DEBIAN}/libcuda.so.1": "-> libcuda.so.550.54.15", f"{DEBIAN}/libcuda.so.550.54.15": "",
          f"{DEBIAN}/libnvidia-ml.so.1": "-> libnvidia-ml.so.550.54.15",
          f"{DEBIAN}/libnvidia-ml.so.550.54.15": ""},
         "read", "550.54.15", f"{DEBIAN}/libcuda.so.1"),
        # Debian's way: alternatives, and a folder of its own.
        ({f"{DEBIAN}/libcuda.so.1": "-> /etc/alternatives/nvidia--libcuda",
          "/etc/alternatives/nvidia--libcuda": f"-> {DEBIAN}/nvidia/current/libcuda.so.1",
          f"{DEBIAN}/nvidia/current/libcuda.so.1": "-> libcuda.so.535.183.01",
          f"{DEBIAN}/nvidia/current/libcuda.so.535.183.01": ""},
         "read", "535.183.01", f"{DEBIAN}/libcuda.so.1"),
        ({"/usr/lib64/libnvidia-ml.so.570.1": ""}, "read", "570.1", "/usr/lib64/libnvidia-ml.so.570.1"),
        ({f"{DEBIAN}/libcuda.so.1": "-> libcuda.so.550.1", f"{DEBIAN}/libcuda.so.550.1": "",
          "/usr/lib64/libcuda.so.1": "-> libcuda.so.535.2", "/usr/lib64/libcuda.so.535.2": ""}, "error", None,
         f"{DEBIAN}/libcuda.so.1"),
        ({"/usr/lib/libcuda.so.1": "a stub", f"{DEBIAN}/libcuda.so.12": ""}, "absent", None, DEBIAN),
        ({f"{DEBIAN}/libcuda.so.1": "-> libcuda.so.1"}, "absent", None, DEBIAN),
        ({}, "hidden", None, DEBIAN),
    ],
)  # fmt: skip
def test_the_version_of_the_libraries(
    plant: Plant, files: dict[str, str], state: str, value: str | None, source: str
) -> None:
    box = Box(str(plant(files)))
    found = drivers.library(box, sight(box))
    assert (found["state"], found["value"], found["source"]) == (state, value, source)


WSL = {"/proc/sys/kernel/osrelease": "6.6.87.2-microsoft-standard-WSL2\n"}
LENT = {**WSL, "/usr/lib/wsl/lib/libcuda.so.1": ""}


@pytest.mark.parametrize(
    ("files", "state", "why"),
    [
        (
            {**LENT, "/etc/ld.so.cache": "/usr/lib/wsl/lib/libcuda.so.1\0"},
            "hidden",
            "Windows brings them, and their names carry no version",
        ),
        (LENT, "absent", "the loader does not know /usr/lib/wsl/lib"),
        (WSL, "absent", "Windows lends no library of an NVIDIA driver"),
    ],
)
def test_libraries_of_windows_emulated(plant: Plant, files: dict[str, str], state: str, why: str) -> None:
    box = Box(str(plant(files)))
    found = drivers.library(box, sight(box, wsl=True))
    assert (found["state"], found["why"]) == (state, why)


def status(*names: tuple[str, str]) -> str:
    return "\n".join(
        f"Package: {name}\nStatus: install ok installed\nSection: restricted/libs\nArchitecture: amd64\n"
        f"Version: {version}\n"
        for name, version in names
    )


def listed(*names: tuple[str, str]) -> str:
    return "".join(
        f"Package: {name}\nArchitecture: amd64\nVersion: {version}\nSize: 1\n\n" for name, version in names
    )


LISTS = "/var/lib/apt/lists"
UBUNTU = f"{LISTS}/u.example_ubuntu_dists_jammy_restricted_binary-amd64_Packages"
NVIDIA = f"{LISTS}/developer.download.nvidia.com_compute_cuda_repos_ubuntu2204_x86%5f64_Packages"
LOCAL = f"{LISTS}/_var_nvidia-driver-local-repo-ubuntu2204-550.1_Packages"
PPA = f"{LISTS}/ppa.example_graphics-drivers_ppa_ubuntu_dists_jammy_main_binary-amd64_Packages"
TOOLKIT = f"{LISTS}/nvidia.github.example_libnvidia-container_stable_deb_amd64_Packages"
NVIDIA_LINE = {"/etc/apt/sources.list.d/cuda.list": "deb https://d.nvidia.example/cuda/repos/x /\n"}
STATUS = "/var/lib/dpkg/status"
HERE = ("nvidia-driver-550", "550.54.15-0ubuntu1")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({STATUS: status(("bash", "5"))}, []),
        (
            {
                STATUS: status(HERE, ("libnvidia-compute-550", "550.54.15-0ubuntu1")),
                UBUNTU: listed(("a", "1"), HERE),
            },
            [("distribution", f"{' '.join(HERE)} (listed by u.example)", "550.54.15")],
        ),
        (
            {
                STATUS: status(HERE),
                NVIDIA: listed(("nvidia-driver-550", "550.40-1"), HERE),
                UBUNTU: listed(("a", "1")),
            },
            [
                (
                    "nvidia-repository",
                    f"{' '.join(HERE)} (listed by developer.download.nvidia.com)",
                    "550.54.15",
                )
            ],
        ),
        (
            {STATUS: status(HERE), LOCAL: listed(HERE)},
            [
                (
                    "nvidia-repository",
                    f"{' '.join(HERE)} (listed by /var/nvidia-driver-local-repo-ubuntu2204-550.1)",
                    "550.54.15",
                )
            ],
        ),
        (
            {STATUS: status(HERE), PPA: listed(HERE)},
            [("other-repository", f"{' '.join(HERE)} (listed by ppa.example)", "550.54.15")],
        ),
        (
            {STATUS: status(("libcuda1", "550.1-0ubuntu0~gpu22"))},
            [
                (
                    "other-repository",
                    "libcuda1 550.1-0ubuntu0~gpu22 (a version of the graphics-drivers archive)",
                    "550.1",
                )
            ],
        ),
        # No list knows it any more, and apt takes packages from NVIDIA.
        (
            {STATUS: status(HERE), **NVIDIA_LINE},
            [
                (
                    "nvidia-repository",
                    f"{' '.join(HERE)} (in no list here, and packages are taken from NVIDIA)",
                    "550.54.15",
                )
            ],
        ),
        (
            {STATUS: status(("nvidia-driver", "535.183.01-1~deb12u1")), **NVIDIA_LINE},
            [
                (
                    "distribution",
                    "nvidia-driver 535.183.01-1~deb12u1 (no repository of NVIDIA has it here)",
                    "535.183.01",
                )
            ],
        ),
        # The container toolkit's repository has no drivers.
        (
            {
                STATUS: status(HERE),
                TOOLKIT: listed(("nvidia-container-toolkit", "1.17")),
                "/etc/apt/sources.list.d/t.list": "deb https://nvidia.example/libnvidia-container/deb /\n",
            },
            [("distribution", f"{' '.join(HERE)} (no repository of NVIDIA has it here)", "550.54.15")],
        ),
        (
            {
                STATUS: status(HERE, ("libcuda1", "560.1-1")),
                UBUNTU: listed(HERE),
                NVIDIA: listed(("libcuda1", "560.1-1")),
            },
            [
                ("distribution", f"{' '.join(HERE)} (listed by u.example)", "550.54.15"),
                ("nvidia-repository", "libcuda1 560.1-1 (listed by developer.download.nvidia.com)", "560.1"),
            ],
        ),
        # Companions of a driver come from anywhere: it came in one way all the same.
        (
            {
                STATUS: status(HERE, ("nvidia-prime", "0.8.17.1"), ("nvidia-system-core", "24.04-1")),
                UBUNTU: listed(HERE),
                **NVIDIA_LINE,
            },
            [("distribution", f"{' '.join(HERE)} (listed by u.example)", "550.54.15")],
        ),
        # The toolkit's own stub of NVML is no driver.
        ({STATUS: status(("libnvidia-ml-dev", "11.5.50~11.5.1-1ubuntu1"))}, []),
        (
            {
                STATUS: status(("a", "1")),
                "/usr/bin/nvidia-uninstall": "",
                "/var/lib/nvidia/": "",
                "/var/log/nvidia-installer.log": "creation time: x\ninstaller version: 550.54.15\n",
            },
            [
                (
                    "runfile",
                    "/usr/bin/nvidia-uninstall, /var/lib/nvidia, /var/log/nvidia-installer.log",
                    "550.54.15",
                )
            ],
        ),
        # The log of a driver that was taken away again.
        ({STATUS: status(("a", "1")), "/var/log/nvidia-installer.log": "installer version: 550.54.15\n"}, []),
    ],
)
def test_how_a_driver_came(plant: Plant, files: dict[str, str], found: list[tuple[str, str, str]]) -> None:
    box = Box(str(plant(files)))
    reading = drivers.sources(box, sight(box), packages.packages(box))
    assert reading["state"] == "read"
    assert [(one["way"], one["evidence"], one["version"]) for one in reading["value"]] == found


def test_windows_lends_its_driver(plant: Plant) -> None:
    box = Box(str(plant({STATUS: status(("a", "1")), "/usr/lib/wsl/lib/libcuda.so.1": ""})))
    found = drivers.sources(box, sight(box, "560.94", wsl=True), packages.packages(box))
    assert found["value"] == [
        {"way": "wsl", "evidence": "/usr/lib/wsl/lib/libcuda.so.1", "version": "560.94"}
    ]


def test_a_container_borrows_its_hosts_driver(plant: Plant) -> None:
    mount = f"9 1 8:1 /x{DEBIAN}/libcuda.so.550.1 {DEBIAN}/libcuda.so.550.1 ro - ext4 /dev/sda1 ro\n"
    box = Box(str(plant({STATUS: status(("a", "1")), "/proc/self/mountinfo": mount})))
    database = packages.packages(box)
    found = drivers.sources(box, sight(box, container="docker"), database)
    assert found["value"] == [
        {"way": "container", "evidence": f"{DEBIAN}/libcuda.so.550.1", "version": "550.1"}
    ]
    assert drivers.sources(box, sight(box), database)["value"] == []


def test_a_system_whose_packages_are_not_known(plant: Plant) -> None:
    box = Box(str(plant({"/var/lib/rpm/": ""})))
    assert drivers.sources(box, sight(box), packages.packages(box))["state"] == "hidden"
    box = Box(str(plant({"/usr/bin/nvidia-uninstall": ""})))
    assert drivers.sources(box, sight(box), packages.packages(box))["value"][0]["way"] == "runfile"


@pytest.mark.parametrize(
    ("version", "found"),
    [("550.54.15-0ubuntu1", "550.54.15"), ("1:580.65.06-1", "580.65.06"), ("535.1", "535.1"), ("odd", "odd")],
)
def test_the_vendors_part_of_a_version(version: str, found: str) -> None:
    assert drivers.upstream(version) == found
