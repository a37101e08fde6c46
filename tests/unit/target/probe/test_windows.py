"""What Windows lends to WSL and what is none of ours, on emulated boxes made of files."""

from __future__ import annotations

import ctypes
import os

import pytest

from provisioner.target.probe import windows
from provisioner.target.probe.box import Box

from .conftest import Plant

RELEASE = "/proc/sys/kernel/osrelease"
KERNEL = {RELEASE: "6.6.87.2-microsoft-standard-WSL2\n"}
PLAIN = {RELEASE: "6.12.57+deb13-amd64\n"}
LENT = {windows.LIBCUDA: "", f"{windows.LIBRARIES}/libdxcore.so": ""}
KNOWN = {windows.LOADER_CACHE: b"glibc-ld.so.cache1.1\0" + windows.LIBCUDA.encode() + b"\0"}
NOT_KNOWN = {windows.LOADER_CACHE: b"glibc-ld.so.cache1.1\0/lib/libc.so.6\0"}
# As WSL mounts them: microsoft/WSL issue 14301 (9p and virtiofs), and what it lends of the driver.
MOUNTS = """\
22 1 8:32 / / rw - ext4 /dev/sdc rw
70 22 0:46 / /mnt/c rw,noatime - 9p C:\\134 rw,aname=drvfs;path=C:\\;uid=1000,trans=fd
71 22 0:47 / /data/games rw,noatime - virtiofs drvfsC0 rw
72 22 0:48 / /old drvfs rw - drvfs D: rw
73 22 0:49 / /usr/lib/wsl/drivers ro - 9p drivers ro,aname=drivers;fmask=222
74 22 0:50 / /usr/lib/wsl/lib rw - overlay none rw,lowerdir=/a:/b
75 22 0:51 / /mnt/wslg rw - tmpfs none rw
"""
TABLE = {"/proc/self/mountinfo": MOUNTS.replace("/old drvfs rw", "/old rw")}


@pytest.mark.parametrize(
    ("files", "answer"),
    [(KERNEL, True), ({RELEASE: "4.4.0-19041-Microsoft\n"}, True), (PLAIN, False), ({}, False)],
)
def test_whose_kernel_it_is(plant: Plant, files: dict[str, str], answer: bool) -> None:
    assert windows.around(Box(str(plant(files)))) is answer


POLLUTED = [
    "/mnt/c/Windows/System32", "/usr/local/bin", "/mnt/d", "/data/games/Python312", "/usr/bin", "/old/x",
    "/usr/lib/wsl/lib", "/usr/lib/wsl/drivers", "/mnt/wslg/bin", "/mnt/data/bin", "/opt/mnt/c/bin",
]  # fmt: skip


def test_a_search_path_loses_the_disks_of_windows_only(plant: Plant) -> None:
    box = Box(str(plant({**KERNEL, **TABLE})))
    assert windows.linux_path(":".join(POLLUTED), box).split(":") == [
        "/usr/local/bin", "/usr/bin", "/usr/lib/wsl/lib", "/usr/lib/wsl/drivers", "/mnt/wslg/bin",
        "/mnt/data/bin", "/opt/mnt/c/bin",
    ]  # fmt: skip


def test_a_search_path_of_windows_alone_leaves_the_systems_own(plant: Plant) -> None:
    box = Box(str(plant({**KERNEL, **TABLE})))
    assert windows.linux_path("/mnt/c/Windows", box) == os.defpath


def test_elsewhere_a_folder_of_that_name_is_anybodys(plant: Plant) -> None:
    box = Box(str(plant({**PLAIN, **TABLE})))
    assert windows.linux_path(":".join(POLLUTED), box) == ":".join(POLLUTED)


@pytest.mark.parametrize(
    ("files", "hidden"),
    [
        ({**KERNEL, **LENT, **KNOWN}, False),
        ({**KERNEL, **LENT, **NOT_KNOWN}, True),
        ({**KERNEL, **LENT}, True),
        ({**KERNEL, **NOT_KNOWN}, False),
        ({**PLAIN, **LENT, **NOT_KNOWN}, False),
    ],
    ids=["known", "ldconfig = false", "no cache at all", "nothing is lent", "no WSL"],
)
def test_whether_the_loader_knows_is_read_from_its_cache(
    plant: Plant, files: dict[str, str | bytes], hidden: bool
) -> None:
    assert windows.hidden_from_programs(Box(str(plant(files)))) is hidden


@pytest.mark.parametrize(
    ("files", "before", "after"),
    [
        (
            {**KERNEL, **LENT, **NOT_KNOWN},
            {"PATH": "/mnt/c/x:/bin"},
            {"PATH": "/bin", "LD_LIBRARY_PATH": windows.LIBRARIES},
        ),
        (
            {**KERNEL, **LENT, **NOT_KNOWN},
            {"LD_LIBRARY_PATH": "/mine"},
            {"LD_LIBRARY_PATH": f"/mine:{windows.LIBRARIES}"},
        ),
        (
            {**KERNEL, **LENT, **NOT_KNOWN},
            {"LD_LIBRARY_PATH": windows.LIBRARIES},
            {"LD_LIBRARY_PATH": windows.LIBRARIES},
        ),
        ({**KERNEL, **LENT, **KNOWN}, {"PATH": "/mnt/c/x:/bin"}, {"PATH": "/bin"}),
        ({**PLAIN, **LENT, **NOT_KNOWN}, {"PATH": "/mnt/c/x:/bin"}, {"PATH": "/mnt/c/x:/bin"}),
    ],
)
def test_children_find_what_is_linux_and_what_is_lent(
    plant: Plant, files: dict[str, str | bytes], before: dict[str, str], after: dict[str, str]
) -> None:
    windows.settle(before, Box(str(plant(files))))
    assert before == after


def test_what_the_loader_does_not_know_is_loaded_ahead(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(str(plant({**KERNEL, **LENT, **NOT_KNOWN})))
    loaded: list[str] = []

    def load(path: str) -> None:
        loaded.append(path.removeprefix(box.root))
        if path.endswith("libcuda.so.1"):
            raise OSError("invalid ELF header")

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert windows.preload(box) == ["invalid ELF header"]
    assert loaded == [f"{windows.LIBRARIES}/libdxcore.so", windows.LIBCUDA]


def test_what_the_loader_knows_is_left_to_it(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda path: pytest.fail(f"{path} was loaded"))
    assert windows.preload(Box(str(plant({**KERNEL, **LENT, **KNOWN})))) == []
