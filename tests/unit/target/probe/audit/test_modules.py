from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import modules
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box
from tests.unit.target.probe.audit.test_modinfo import elf

Plant = Callable[..., Path]

RELEASE = "6.1.0-18-amd64"
LIB = f"/lib/modules/{RELEASE}"


def sight(box: Box, driver: str | None = None, gpus: Any = (), **kind: Any) -> Sight:
    system = {"container": None, "wsl": False, "kernel": RELEASE, **kind}
    return Sight(box, {"os": system, "driver_version": driver, "gpus": gpus}, {})


def told(reading: dict[str, Any]) -> tuple[str, Any, str]:
    return reading["state"], reading["value"], reading["why"]


@pytest.mark.parametrize(
    ("files", "state", "value", "why"),
    [
        ({}, "hidden", None, "this kernel has no list of its modules here"),
        (
            {f"{LIB}/modules.dep": "kernel/a.ko: kernel/b.ko\n"},
            "absent",
            None,
            "this kernel has no NVIDIA module",
        ),
        (
            {
                f"{LIB}/modules.dep": "extra/nvidia-drm.ko: extra/nvidia.ko\nupdates/dkms/nvidia.ko:\n",
                f"{LIB}/updates/dkms/nvidia.ko": elf(),
            },
            "read",
            "550.54.15",
            "",
        ),
        (
            {
                f"{LIB}/modules.dep": "extra/nvidia-current-uvm.ko:\nupdates/dkms/nvidia-current.ko:\n",
                f"{LIB}/updates/dkms/nvidia-current.ko": elf(),
            },
            "read",
            "550.54.15",
            "",
        ),
        (
            {
                f"{LIB}/modules.dep": "extra/nvidia-modeset.ko:\nkernel/drivers/video/nvidia-tesla-470.ko:\n",
                f"{LIB}/kernel/drivers/video/nvidia-tesla-470.ko": elf(),
            },
            "read",
            "550.54.15",
            "",
        ),
        (
            {f"{LIB}/modules.dep": "extra/nvidia-uvm.ko:\nextra/nvidiafb.ko:\nextra/nvidia-wmi.ko:\n"},
            "absent",
            None,
            "this kernel has no NVIDIA module",
        ),
        (
            {
                f"{LIB}/modules.dep": "extra/nvidia.ko.zst:\n",
                f"{LIB}/extra/nvidia.ko.zst": b"\x28\xb5\x2f\xfd",
            },
            "hidden",
            None,
            "it is compressed with zstd: modinfo -F version nvidia",
        ),
        (
            {f"{LIB}/modules.dep": "extra/nvidia.ko:\n"},
            "error",
            None,
            f"{LIB}/extra/nvidia.ko: No such file or directory",
        ),
        (
            {f"{LIB}/modules.dep": "extra/nvidia.ko:\n", f"{LIB}/extra/nvidia.ko": "no module of any kind"},
            "error",
            None,
            "it is no ELF file",
        ),
        ({f"{LIB}/modules.dep/": ""}, "hidden", None, f"{LIB}/modules.dep: Is a directory"),
        (
            {
                f"{LIB}/modules.dep": "updates/dkms/nvidia.ko.zst:\n",
                f"{LIB}/updates/dkms/nvidia.ko.zst": b"\x28\xb5\x2f\xfd",
                "/var/lib/dkms/nvidia/535.1.2/source": "-> /usr/src/nvidia-535.1.2",
                f"/var/lib/dkms/nvidia/535.1.2/{RELEASE}/x86_64/module/nvidia.ko.zst": "",
            },
            "read",
            "535.1.2",
            "",
        ),
    ],
)
def test_the_module_that_would_be_loaded(
    plant: Plant, files: dict[str, Any], state: str, value: str | None, why: str
) -> None:
    assert told(modules.module_file(Box(str(plant(files))), RELEASE)) == (state, value, why)


LIST = "/proc/modules"
OTHER = "nvidia_drm 1 0 - Live 0x0\nnouveaux 1 0 - Live 0x0\n"


@pytest.mark.parametrize(
    ("files", "value", "source"),
    [
        ({LIST: "drm 1 2 nouveau, Live 0x0\nnouveau 1 0 - Live 0x0\n"}, "loaded", LIST),
        ({LIST: OTHER}, "", LIST),
        (
            {LIST: "", f"{LIB}/modules.builtin": "kernel/drivers/gpu/drm/nouveau/nouveau.ko\n"},
            "built-in",
            f"{LIB}/modules.builtin",
        ),
        ({"/sys/module/nouveau/": ""}, "built-in", "/sys/module/nouveau"),
        ({"/sys/module/": ""}, "", LIST),
        (
            {LIST: "", "/etc/modprobe.d/x.conf": "# off\nblacklist  nouveau\n"},
            "blacklisted",
            "/etc/modprobe.d/x.conf",
        ),
        (
            {LIST: "", "/usr/lib/modprobe.d/x.conf": "install nouveau /bin/false\n"},
            "blacklisted",
            "/usr/lib/modprobe.d/x.conf",
        ),
        (
            {
                LIST: "",
                "/usr/lib/modprobe.d/x.conf": "blacklist nouveau\n",
                "/etc/modprobe.d/x.conf": "-> /dev/null",
            },
            "",
            LIST,
        ),
        (
            {
                LIST: "",
                "/etc/modprobe.d/x.conf": "#blacklist nouveau\nblacklist nouveau_x\nalias nouveau off\n",
            },
            "",
            LIST,
        ),
        ({LIST: "", "/etc/modprobe.d/x.bak": "blacklist nouveau\n"}, "", LIST),
        (
            {LIST: "", "/proc/cmdline": "quiet modprobe.blacklist=a,nouveau splash\n"},
            "blacklisted",
            "/proc/cmdline",
        ),
        ({LIST: "", "/proc/cmdline": "rd.driver.blacklist=nouveau\n"}, "blacklisted", "/proc/cmdline"),
        ({LIST: "", "/proc/cmdline": "module_blacklist=nouveau,x\n"}, "blacklisted", "/proc/cmdline"),
        ({LIST: "", "/proc/cmdline": "modprobe.blacklist=nouveaux nouveau.modeset=0\n"}, "", LIST),
    ],
)
def test_nouveau(plant: Plant, files: dict[str, Any], value: str, source: str) -> None:
    box = Box(str(plant(files)))
    found = modules.nouveau(box, sight(box))
    assert (found["state"], found["value"], found["source"]) == ("read", value, source)


def test_nouveau_by_the_card_that_it_drives(plant: Plant) -> None:
    box = Box(str(plant({LIST: ""})))
    found = modules.nouveau(box, sight(box, gpus=[{"address": "0000:01:00.0", "driver": "nouveau"}]))
    assert (found["value"], found["source"]) == ("loaded", "/sys/bus/pci/devices/0000:01:00.0/driver")


def test_nouveau_that_nobody_shows(plant: Plant) -> None:
    box = Box(str(plant({})))
    assert told(modules.nouveau(box, sight(box)))[0] == "hidden"


def test_a_container_sees_its_hosts_nouveau_and_not_its_settings(plant: Plant) -> None:
    box = Box(str(plant({LIST: OTHER, "/etc/modprobe.d/x.conf": "blacklist nouveau\n"})))
    assert told(modules.nouveau(box, sight(box, container="docker")))[0] == "not_applicable"
    (tmp := Path(box.path(LIST))).write_text("nouveau 1 0 - Live 0x0\n")
    assert tmp.exists()
    assert told(modules.nouveau(box, sight(box, container="docker")))[:2] == ("read", "loaded")


DKMS = "/var/lib/dkms"
OWN = {f"{DKMS}/nvidia/550.1/source": "-> /usr/src/nvidia-550.1"}
LOG = f"{DKMS}/nvidia/550.1/build/make.log"


@pytest.mark.parametrize(
    ("files", "kernels", "failed"),
    [
        ({}, [RELEASE], []),
        (OWN, [], []),
        (OWN, [RELEASE], [f"nvidia/550.1 for {RELEASE}: never built"]),
        ({**OWN, f"{DKMS}/nvidia/550.1/{RELEASE}/x86_64/module/nvidia.ko": ""}, [RELEASE], []),
        (
            {**OWN, f"{DKMS}/nvidia/550.1/{RELEASE}/x86_64/module/nvidia.ko": ""},
            [RELEASE, "6.9"],
            ["nvidia/550.1 for 6.9: never built"],
        ),
        (
            {
                **OWN,
                LOG: f"DKMS make.log for nvidia-550.1 for kernel {RELEASE} (x86_64)\nSat Dec 19\nerror\n",
            },
            [RELEASE],
            [f"nvidia/550.1 for {RELEASE}: the build failed, see {LOG}"],
        ),
        (
            {**OWN, LOG: "DKMS make.log for nvidia-550.1 for kernel 5.10.0-1-amd64 (x86_64)\n"},
            [RELEASE],
            [f"nvidia/550.1 for {RELEASE}: never built"],
        ),
        # An older version has no module, a newer one has: nothing has failed.
        (
            {
                **OWN,
                f"{DKMS}/nvidia/560.2/source/": "",
                f"{DKMS}/nvidia/560.2/{RELEASE}/x86_64/module/nvidia.ko": "",
            },
            [RELEASE],
            [],
        ),
        ({f"{DKMS}/zfs/2.1/source/": ""}, [RELEASE], []),
        # What is left of a module that was removed.
        ({f"{DKMS}/nvidia/550.1/build/": ""}, [RELEASE], []),
    ],
)
def test_what_dkms_could_not_build(
    plant: Plant, files: dict[str, Any], kernels: list[str], failed: list[str]
) -> None:
    assert told(modules.dkms_failed(Box(str(plant({"/var/lib/": "", **files}))), kernels)) == (
        "read",
        failed,
        "",
    )


def test_a_recorded_tree_without_dkms_says_nothing(plant: Plant) -> None:
    assert told(modules.dkms_failed(Box(str(plant({}))), [RELEASE]))[0] == "hidden"


def test_the_module_in_memory(plant: Plant) -> None:
    box = Box(str(plant({})))
    assert told(modules.loaded(box, sight(box, "550.1"))) == ("read", "550.1", "")
    assert told(modules.loaded(box, sight(box))) == ("absent", None, "no NVIDIA module is loaded")
    assert told(modules.loaded(box, sight(box, wsl=True)))[0] == "hidden"
    box.missing("driver_version", "/proc/driver/nvidia/version names no version")
    assert told(modules.loaded(box, sight(box)))[0] == "error"


@pytest.mark.parametrize("kind", [{"container": "podman"}, {"wsl": True}])
def test_nobody_builds_modules_here(plant: Plant, kind: dict[str, Any]) -> None:
    box = Box(str(plant({LIST: "", **OWN})))
    found = modules.modules(box, sight(box, "550.1", **kind), [RELEASE])
    assert {name: reading["state"] for name, reading in found.items()} == {
        "loaded_driver": "read",
        "module_file": "not_applicable",
        "nouveau": "not_applicable",
        "dkms_failed": "not_applicable",
    }


@given(st.text(max_size=300))
def test_hostile_lists_of_modules(text: str) -> None:
    assert modules._DRIVER.search(text) is None or "nvidia" in text
    assert modules._OPTION.search(text) is None or "nouveau" in text
