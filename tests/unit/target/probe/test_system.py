from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import system
from provisioner.target.probe.box import Box, mounts

Plant = Callable[..., Path]

ROCKY = """NAME="Rocky Linux"
VERSION_ID="9.4"
# a comment
ID=rocky
ID_LIKE="rhel centos fedora"
PRETTY_NAME='Rocky Linux 9.4 (Blue Onyx)'
BUG_REPORT_URL="https://example.org/\\"x\\"\\$"
lower=case
NOT A LINE
"""


def test_os_release_is_unquoted(plant: Plant) -> None:
    box = Box(str(plant({"/etc/os-release": ROCKY})))
    assert system.os_release(box) == {
        "NAME": "Rocky Linux",
        "VERSION_ID": "9.4",
        "ID": "rocky",
        "ID_LIKE": "rhel centos fedora",
        "PRETTY_NAME": "Rocky Linux 9.4 (Blue Onyx)",
        "BUG_REPORT_URL": 'https://example.org/"x"$',
    }
    assert box.unknown == []


def test_os_release_falls_back_to_usr_lib(plant: Plant) -> None:
    box = Box(str(plant({"/usr/lib/os-release": "ID=arch\n"})))
    assert system.os_release(box) == {"ID": "arch"}
    assert box.unknown == []


def test_without_os_release_the_system_is_unknown(plant: Plant) -> None:
    box = Box(str(plant({"/etc/": ""})))
    assert system.os_release(box) == {}
    assert box.unknown == [
        {"what": "os.release", "why": "/usr/lib/os-release: No such file or directory"},
    ]


class Written(Box):
    """A box whose every file has the same content."""

    def __init__(self, content: bytes) -> None:
        super().__init__("/nowhere")
        self.content = content

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        return self.content[:limit]


@given(st.binary())
def test_any_bytes_are_an_os_release(content: bytes) -> None:
    found = system.os_release(Written(content))
    assert all(key.isascii() and isinstance(value, str) for key, value in found.items())


@given(st.binary())
def test_any_bytes_are_proc_files(content: bytes) -> None:
    box = Written(content)
    table = mounts(box)
    limit = system.memory_limit(box, table)
    assert limit is None or limit < system.NO_LIMIT
    assert set(system.memory(box, table)) == {"total_bytes", "available_bytes", "limit_bytes"}
    assert set(system.cpu(box)) == {"model", "cores", "threads", "flags"}


OVERLAY = "1 0 0:1 / / rw - overlay overlay rw,lowerdir=/x\n"
DISK = "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
BTRFS = "1 0 0:1 /docker/btrfs/subvolumes/x / rw - btrfs /dev/vda rw\n"
HOSTS = "2 1 254:0 /c/hosts /etc/hosts rw - ext4 /dev/vda rw\n"
NO_TABLE = [{"what": "os.container", "why": "no mount table to tell a container from an image made of one"}]

CONTAINERS: dict[str, tuple[dict[str, str], str | None, list[dict[str, str]]]] = {
    "a machine": ({"mountinfo": DISK}, None, []),
    "a machine made from a container image": ({"mountinfo": DISK, "/.dockerenv": ""}, None, []),
    "docker": ({"mountinfo": OVERLAY, "/.dockerenv": ""}, "docker", []),
    "docker on btrfs": ({"mountinfo": BTRFS, "/.dockerenv": ""}, "docker", []),
    "podman": ({"mountinfo": OVERLAY, "/run/.containerenv": ""}, "podman", []),
    "said by systemd": (
        {"mountinfo": DISK, "/run/systemd/container": "systemd-nspawn\n"},
        "systemd-nspawn",
        [],
    ),
    # As in starship/starship pull request 4593.
    "WSL with systemd": ({"mountinfo": DISK, "/run/systemd/container": "wsl\n"}, None, []),
    "a container on WSL": (
        {"mountinfo": OVERLAY + HOSTS, "/run/systemd/container": "wsl\n", "/.dockerenv": ""},
        "docker",
        [],
    ),
    "lxc": ({"mountinfo": DISK + "3 1 0:2 / /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"}, "lxc", []),
    "kubernetes": ({"mountinfo": OVERLAY + HOSTS}, "oci", []),
    "a live system": ({"mountinfo": OVERLAY}, None, []),
    "the last root counts": ({"mountinfo": OVERLAY + DISK, "/.dockerenv": ""}, None, []),
    "no mount table": ({"/.dockerenv": ""}, None, NO_TABLE),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(plant: Plant, name: str) -> None:
    files, kind, unknown = CONTAINERS[name]
    box = Box(
        str(plant({path.replace("mountinfo", "/proc/self/mountinfo"): text for path, text in files.items()}))
    )
    assert system.find_container(box, mounts(box)) == kind
    assert box.unknown == unknown


@pytest.mark.parametrize(
    ("kernel", "files", "container", "answer", "unknown"),
    [
        ("6.1.0-18-amd64", {"/dev/dxg": ""}, None, False, []),
        ("5.15.153.1-microsoft-standard-WSL2", {"/dev/dxg": ""}, None, True, []),
        ("5.15.153.1-microsoft-standard-WSL2", {"/dev/dxg": ""}, "docker", True, []),
        ("5.15.153.1-microsoft-standard-WSL2", {}, "docker", False, []),
        ("4.4.0-19041-Microsoft", {}, None, True, ["wsl.gpu"]),
        ("", {}, None, None, ["os.wsl"]),
    ],
)
def test_wsl_is_emulated(
    plant: Plant,
    kernel: str,
    files: dict[str, str],
    container: str | None,
    answer: bool | None,
    unknown: list[str],
) -> None:
    box = Box(str(plant(files)))
    assert system.wsl(box, kernel, container) is answer
    assert [entry["what"] for entry in box.unknown] == unknown


V1 = "5 1 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
V1_CPU = "4 1 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
V2 = "6 1 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
NONE_V1 = "9223372036854771712\n"
CGROUPS: dict[str, tuple[str, str, dict[str, str], int | None]] = {
    "v2, none set": ("0::/user.slice\n", V2, {"/sys/fs/cgroup/user.slice/memory.max": "max\n"}, None),
    "v2, the smallest of the chain": (
        "0::/a/b\n",
        V2,
        {"/sys/fs/cgroup/a/memory.max": "100\n", "/sys/fs/cgroup/a/b/memory.max": "200\n"},
        100,
    ),
    "v2, in a namespace": ("0::/\n", V2, {"/sys/fs/cgroup/memory.max": "300\n"}, 300),
    "v2, outside of the namespace": ("0::/../x\n", V2, {"/sys/fs/cgroup/memory.max": "300\n"}, 300),
    "v1, none set": (
        "4:memory:/\n",
        V1_CPU + V1,
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes": NONE_V1},
        None,
    ),
    "v1": (
        "5:cpu:/z\n4:memory:/a\n0::/\n",
        V1_CPU + V1,
        {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "536870912\n"},
        536870912,
    ),
    "v1, mounted at the container's own": (
        "4:memory:/docker/x/sub\n",
        V1.replace("0:32 / ", "0:32 /docker/x "),
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "7\n"},
        7,
    ),
    "v1, below the container's own": (
        "4:memory:/docker/x/sub\n",
        V1.replace("0:32 / ", "0:32 /docker/x "),
        {
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "7\n",
            "/sys/fs/cgroup/memory/sub/memory.limit_in_bytes": "5\n",
        },
        5,
    ),
    "v1, a look-alike of the mount's root": (
        "4:memory:/docker/xy\n",
        V1.replace("0:32 / ", "0:32 /docker/x "),
        {"/sys/fs/cgroup/memory/y/memory.limit_in_bytes": "7\n"},
        None,
    ),
    "hybrid": (
        "4:memory:/a\n0::/b\n",
        V1 + V2.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified "),
        {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9\n"},
        9,
    ),
    "garbage": ("4:memory\n:::\n0::/\n", V2, {"/sys/fs/cgroup/memory.max": "lots\n"}, None),
}


@pytest.mark.parametrize("name", CGROUPS)
def test_memory_limits_of_cgroups(plant: Plant, name: str) -> None:
    cgroup, mountinfo, files, limit = CGROUPS[name]
    box = Box(str(plant({"/proc/self/cgroup": cgroup, "/proc/self/mountinfo": mountinfo, **files})))
    assert system.memory_limit(box, mounts(box)) == limit
    assert box.unknown == []


class Limited(Written):
    """A box in one cgroup, whose limit is its content."""

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        return b"0::/\n" if path == "/proc/self/cgroup" else super().read(path, limit)


@given(st.integers(min_value=0, max_value=1 << 70))
def test_a_limit_is_a_number_that_the_kernel_could_mean(limit: int) -> None:
    box = Limited(str(limit).encode())
    table: list[dict[str, Any]] = [{"root": "/", "point": "/m", "fs": "cgroup2", "source": "", "options": []}]
    assert system.memory_limit(box, table) == (limit if limit < system.NO_LIMIT else None)


X86 = "".join(
    f"processor\t: {thread}\nmodel name\t: EPYC\nphysical id\t: {thread // 4}\ncore id\t: {thread % 4 // 2}\n"
    "flags\t\t: fpu avx2\n\n"
    for thread in range(8)
)
ARM = "".join(
    f"processor\t: {thread}\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n"
    for thread in range(4)
)
TOPOLOGY = "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list"
CPUS: dict[str, tuple[dict[str, str], dict[str, Any], list[str]]] = {
    "two packages of two cores of two threads": (
        {"/proc/cpuinfo": X86},
        {"model": "EPYC", "cores": 4, "threads": 8, "flags": ["fpu", "avx2"]},
        [],
    ),
    "Arm tells its cores in sysfs": (
        {"/proc/cpuinfo": ARM, **{TOPOLOGY % thread: f"{thread}\n" for thread in range(4)}},
        {"model": "implementer 0x41 part 0xd0c", "cores": 4, "threads": 4, "flags": ["fp", "asimd"]},
        [],
    ),
    "Arm without sysfs": (
        {"/proc/cpuinfo": ARM},
        {"model": "implementer 0x41 part 0xd0c", "cores": None, "threads": 4, "flags": ["fp", "asimd"]},
        ["cpu.cores"],
    ),
    "nothing": ({}, {"model": "", "cores": None, "threads": None, "flags": []}, ["cpu"]),
    "another format": (
        {"/proc/cpuinfo": "cpu : POWER9\n"},
        {"model": "", "cores": None, "threads": None, "flags": []},
        ["cpu"],
    ),
}


@pytest.mark.parametrize("name", CPUS)
def test_processors(plant: Plant, name: str) -> None:
    files, facts, unknown = CPUS[name]
    box = Box(str(plant(files)))
    assert system.cpu(box) == facts
    assert [entry["what"] for entry in box.unknown] == unknown


def test_memory_without_a_line_is_unknown(plant: Plant) -> None:
    box = Box(str(plant({"/proc/meminfo": "MemTotal:     1000 kB\n", "/proc/self/cgroup": ""})))
    assert system.memory(box, []) == {
        "total_bytes": 1_024_000,
        "available_bytes": None,
        "limit_bytes": None,
    }
    assert box.unknown == [
        {"what": "memory.available_bytes", "why": "/proc/meminfo has no MemAvailable"},
    ]


@pytest.mark.parametrize(
    ("files", "answer", "unknown"),
    [({"/run/systemd/system/": ""}, True, []), ({"/run/": ""}, False, []), ({}, None, ["os.systemd"])],
)
def test_systemd(plant: Plant, files: dict[str, str], answer: bool | None, unknown: list[str]) -> None:
    box = Box(str(plant(files)))
    assert system.systemd(box) is answer
    assert [entry["what"] for entry in box.unknown] == unknown
