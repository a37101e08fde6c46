"""What is seen of a driver, on boxes made of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.box import Box
from provisioner.target.system import driver, driver_look
from provisioner.target.system.driver_headers import Kernel
from provisioner.target.system.driver_look import Module
from tests.unit.target.probe.audit.test_modinfo import elf

from .boxes import CONTAINER, FakeBox

RELEASE = "6.12.57+deb13-amd64"
NEXT = "6.12.117+deb13-amd64"
DEBIAN = 'ID=debian\nVERSION_ID="13"\n'
BUILT = "Linux version 6.12.57+deb13-amd64 (x) (x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0, GNU ld) #1"
GPU = "/sys/bus/pci/devices/0000:01:00.0"
CARD = {f"{GPU}/vendor": "0x10de\n", f"{GPU}/class": "0x030200\n", f"{GPU}/device": "0x2330\n"}


def box(root: Path, files: Mapping[str, str] | None = None, release: str = RELEASE) -> FakeBox:
    made = FakeBox(
        root,
        {
            "/etc/os-release": DEBIAN,
            "/proc/sys/kernel/osrelease": release + "\n",
            "/proc/sys/kernel/random/boot_id": "boot\n",
            "/proc/version": BUILT,
            "/proc/modules": "",
            **(files or {}),
        },
    )
    made.kernel(RELEASE)
    return made


def headers(made: FakeBox, release: str, gcc: str = "14.2.0") -> None:
    made.write(f"/lib/modules/{release}/build/Makefile", "")
    text = f'CONFIG_CC_VERSION_TEXT="gcc-14 (Debian 14.2.0-19) {gcc}"\n'
    made.write(f"/lib/modules/{release}/build/.config", text)


def module(made: FakeBox, release: str, version: str = "550.163.01") -> str:
    path = f"/lib/modules/{release}/updates/dkms/nvidia-current.ko"
    made.write(path, "")
    made.path(path).write_bytes(elf(b"license=NVIDIA\0version=" + version.encode() + b"\0"))
    made.write(f"/lib/modules/{release}/modules.dep", "updates/dkms/nvidia-current.ko:\n")
    return path


def test_a_machine_with_a_gpu_and_a_newer_kernel(tmp_path: Path) -> None:
    made = box(tmp_path, CARD)
    made.kernel(NEXT)
    headers(made, NEXT)
    seen = driver_look.look(made.host)
    assert seen == driver_look.Seen(
        root=True, ident="debian", like=[], wsl=False, container=None, gpus=["0000:01:00.0"], loaded=None,
        answers=None, silence="", nouveau="", secure_boot=seen.secure_boot, running=RELEASE,
        kernels=[Kernel(RELEASE, False, "14.2.0", True), Kernel(NEXT, True, "14.2.0")],
    )  # fmt: skip
    assert seen.here == [RELEASE, NEXT]


def test_a_container_has_the_kernels_whose_headers_it_has(tmp_path: Path) -> None:
    made = box(tmp_path, {"/proc/self/mountinfo": CONTAINER, "/run/systemd/container": "docker\n"})
    made.write("/lib/modules/6.1.0-1-amd64/modules.order", "")
    headers(made, NEXT, "13.1")
    seen = driver_look.look(made.host)
    assert (seen.container, seen.kernels) == ("docker", [Kernel(NEXT, True, "13.1")])


def test_wsl(tmp_path: Path) -> None:
    files = {"/dev/dxg": "", driver_look.WINDOWS: ""}
    seen = driver_look.look(box(tmp_path, files, "5.15.153.1-microsoft-standard-WSL2").host)
    assert (seen.wsl, seen.windows, seen.kernels, seen.lost) == (True, driver_look.WINDOWS, [], True)


def test_a_module_and_who_signed_it(tmp_path: Path) -> None:
    made = box(tmp_path)
    path = module(made, RELEASE)
    told = {"signer": "DKMS module signing key", "license": "Dual MIT/GPL", "version": "550.163.01"}
    made.program("modinfo", lambda *words: (0, [told[words[1]]]))
    found = driver_look.module_of(made.host, RELEASE)
    assert found == Module("550.163.01", path, "DKMS module signing key", "Dual MIT/GPL")
    assert found.flavour == "open"
    assert Module("1", "", "", "NVIDIA").flavour == "proprietary"
    assert driver_look.module_of(made.host, NEXT) is None


def test_a_module_that_only_modinfo_can_read(tmp_path: Path) -> None:
    made = box(tmp_path)
    path = module(made, RELEASE)
    made.path(path).write_bytes(b"\x28\xb5\x2f\xfd....")
    assert driver_look.module_of(made.host, RELEASE) is None
    made.program("modinfo", lambda *words: (0, ["580.1"]) if words[1] == "version" else (1, []))
    assert driver_look.module_of(made.host, RELEASE) == Module("580.1", path)


def gpu(**more: Any) -> dict[str, Any]:
    return {"address": "0000:01:00.0", "name": "NVIDIA H200", "memory_bytes": 1, **more}


@pytest.mark.parametrize(
    ("gpus", "loaded", "unknown", "expected"),
    [
        ([gpu()], None, {}, (None, "")),
        ([gpu()], "550.1", {}, (True, "")),
        # Boards whose memory is the machine's own tell no size.
        ([gpu(memory_bytes=None)], "580.1", {"gpus.0000:01:00.0": "refused"}, (True, "")),
        ([gpu(name=None, memory_bytes=None)], "550.1", {}, (False, "GPU 0000:01:00.0 does not answer")),
        ([gpu(memory_bytes=None)], "550.1", {"gpus.memory_bytes": "no NVML: libnvidia-ml.so.1: cannot open"},
         (False, "no NVML: libnvidia-ml.so.1: cannot open")),
        ([gpu(memory_bytes=None)], "550.1", {"gpus.memory_bytes": "nvmlInit_v2 answered 18"},
         (False, "nvmlInit_v2 answered 18")),
    ],
)  # fmt: skip
def test_whether_it_answers(
    tmp_path: Path, gpus: list[dict[str, Any]], loaded: str | None, unknown: dict[str, str], expected: Any
) -> None:
    one = Box(str(tmp_path))
    for what, why in unknown.items():
        one.missing(what, why)
    assert driver_look.nvml_answers(one, gpus, loaded) == expected


@pytest.mark.parametrize(
    ("modules", "count"),
    [
        ("nouveau 2400256 3 - Live 0x0\n", 3),
        ("nouveau 2400256 0 - Live 0x0\n", 0),
        ("ttm 1 1 nouveau, Live 0x0\n", 0),
    ],
)
def test_who_uses_nouveau(tmp_path: Path, modules: str, count: int) -> None:
    assert driver_look.users_of_nouveau(box(tmp_path, {"/proc/modules": modules}).host.box) == count


WANTS = {
    "action": "install", "packages": ["nvidia-driver"], "without_gpu": "install", "runfile": {},
    "headers": [], "persistence": True, "container_toolkit": True, "fabric_manager": "",
}  # fmt: skip


def test_what_is_to_be_installed(tmp_path: Path) -> None:
    status = "Package: linux-image-amd64\nStatus: install ok installed\nVersion: 6.12\n\n"
    made = box(tmp_path, {"/var/lib/dpkg/status": status})
    found = driver.look(made.host, {"wants": WANTS})
    assert {key: found[key] for key in ("do", "load", "key", "headers", "packages")} == {
        "do": "install",
        "load": False,
        "key": False,
        "headers": [f"linux-headers-{RELEASE}", "linux-headers-amd64"],
        "packages": ["nvidia-driver", "nvidia-persistenced", "nvidia-container-toolkit"],
    }
    prebuilt = {**WANTS, "packages": ["linux-modules-nvidia-580-server-generic"], "persistence": False}
    found = driver.look(made.host, {"wants": prebuilt})
    assert (found["headers"], found["packages"][:1]) == ([], prebuilt["packages"])
    own = {**WANTS, "headers": ["linux-headers-mine"]}
    assert driver.look(made.host, {"wants": own})["headers"] == ["linux-headers-mine"]
    # What says which branch may be taken is there before anything is chosen.
    assert found["first"] == []
    pinned = {**WANTS, "packages": ["nvidia-driver-pinning-580", "nvidia-open"], "persistence": False}
    found = driver.look(made.host, {"wants": pinned})
    assert found["first"] == ["nvidia-driver-pinning-580"]
    assert found["packages"][:2] == pinned["packages"]


EXACTLY = "must be of exactly the driver's version"


@pytest.mark.parametrize(
    ("version", "modules", "more"),
    [
        ("550.163.01", "open", ["-m=kernel-open"]),
        ("550.163.01", "proprietary", []),
        ("580.95.05", "open", ["--kernel-module-type=open"]),
        ("580.95.05", "proprietary", ["--kernel-module-type=proprietary"]),
        ("580.95.05", "auto", []),
    ],
)
def test_nvidias_installer_is_told_of_the_modules(version: str, modules: str, more: list[str]) -> None:
    usual = ["--silent", "--dkms", "--no-nouveau-check", "--tmpdir={tmp}"]
    assert driver.installer({"version": version, "modules": modules}) == usual + more


def test_packages_do_not_go_beside_nvidias_installer(tmp_path: Path) -> None:
    made = box(tmp_path, {"/usr/bin/nvidia-uninstall": ""})
    with pytest.raises(TargetError) as caught:
        driver.look(made.host, {"wants": WANTS})
    assert caught.value.message == (
        "a driver of NVIDIA's own installer is here (/usr/bin/nvidia-uninstall), and packages of one do not"
        " go beside it"
    )
    assert driver.look(made.host, {"wants": {**WANTS, "action": "none"}})["do"] == "nothing"
    again = {**WANTS, "packages": [], "runfile": {"url": "x"}, "version": "580.1", "modules": "open"}
    assert driver.look(made.host, {"wants": again})["do"] == "install"


def test_nvidias_installer_builds_with_the_systems_tools(tmp_path: Path) -> None:
    wants = {**WANTS, "packages": [], "runfile": {"url": "x"}, "version": "580.1", "modules": "open"}
    found = driver.look(box(tmp_path).host, {"wants": {**wants, "container_toolkit": False}})
    assert found["packages"] == ["dkms", "gcc", "make"]
    assert found["installer"][-1] == "--kernel-module-type=open"


MADISON = [
    " nvidia-fabricmanager-570 | 570.211.01-0ubuntu1 | http://x jammy/main amd64 Packages",
    " nvidia-fabricmanager-570 | 570.172.08-1 | http://x jammy/main amd64 Packages",
]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (
            {"nvidia-driver-570": "570.172.08-1ubuntu1", "nvidia-driver-assistant": "0.22.1-1"},
            "nvidia-fabricmanager-570=570.172.08-1",
        ),
        (
            {"libnvidia-compute-570": "570.211.01-0ubuntu1", "nvidia-settings": "510.1"},
            "nvidia-fabricmanager-570=570.211.01-0ubuntu1",
        ),
    ],
)
def test_the_fabric_manager_is_of_exactly_the_drivers_version(
    tmp_path: Path, own: dict[str, str], expected: str
) -> None:
    made = FakeBox(tmp_path)
    made.program("apt-cache", lambda *_: (0, MADISON))
    wants = {"fabric_manager": "nvidia-fabricmanager-570=570.999.99"}
    assert driver.fabric(made.host, {"wants": wants, "own": own}) == {"packages": [expected]}
    assert driver.fabric(made.host, {"wants": {"fabric_manager": ""}, "own": own}) == {"packages": []}


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"nvidia-driver-570": "570.1-1"},
            f"no source of packages has nvidia-fabricmanager-570 570.1, and it {EXACTLY}",
        ),
        (
            {"nvidia-driver-570": "570.1-1", "libcuda1": "565.2-1"},
            f"the driver's packages are of 565.2 and 570.1, and the fabric manager {EXACTLY}",
        ),
    ],
)
def test_no_fabric_manager_of_that_version(tmp_path: Path, own: dict[str, str], message: str) -> None:
    made = FakeBox(tmp_path)
    made.program("apt-cache", lambda *_: (0, MADISON))
    with pytest.raises(TargetError) as caught:
        driver.fabric(made.host, {"wants": {"fabric_manager": "nvidia-fabricmanager-570=1"}, "own": own})
    assert caught.value.message == message
