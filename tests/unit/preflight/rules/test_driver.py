"""The driver that is here: where from, which versions, nouveau, and who uses the GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.audit import DriverSource, Process, Reading
from provisioner.facts import Gpu
from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import Row, absent, ask, case, check, elsewhere, hidden

ON_GPU = Needs(profile="autoglm", gpu=True)
INSTALLING = Needs(profile="autoglm", gpu=True, driver=True)
ON_PROCESSOR = Needs(profile="small", gpu=False)
PACKAGED = DriverSource("distribution", "nvidia-driver 550.54.14-1 (listed by a mirror)", "550.54.14")
BY_NVIDIA = DriverSource("nvidia-repository", "cuda-drivers 550.54.15-1 (listed)", "550.54.15")
BY_HAND = DriverSource("runfile", "/usr/bin/nvidia-uninstall", "550.54.14")
OF_WINDOWS = DriverSource("wsl", "/usr/lib/wsl/lib/libcuda.so.1", "551.23")
OF_TOOLKIT = DriverSource("container", "/usr/lib/x86_64-linux-gnu/libcuda.so.551.23", "551.23")
OLD, NEW = "550.54.14", "550.90.07"
WSL = {"os": {"wsl": True}}
LXC = {"os": {"container": "lxc"}}
OUTSIDE = "not seen from inside a container: run this on the machine that runs it"


def sources(*found: DriverSource, **more: Any) -> dict[str, Any]:
    return {"gpus": 1, "software": {"driver_sources": found}, **more}


def driver(loaded: Any, library: Any, module: Any = None, **more: Any) -> dict[str, Any]:
    said = {"loaded_driver": loaded, "library_driver": library, "module_file": module or absent()}
    return {"gpus": 1, "software": said, **more}


KEPT_ELSEWHERE = [Gpu("0000:01:00.0", "0x10de", "0x2684", memory_bytes=25757220864)]


def nouveau(word: Any, **more: Any) -> dict[str, Any]:
    return {"gpus": 1, "software": {"nouveau": word}, **more}


def users(*found: Process, **more: Any) -> dict[str, Any]:
    return {"gpus": 1, "software": {"gpu_processes": found}, **more}


MISMATCH = f"The driver in memory is {OLD}, its libraries are {NEW}: the GPU is out of use"
UNLOADED = f"The NVIDIA driver {OLD} is installed and not loaded"
LOADED = "nouveau is loaded, where NVIDIA's driver cannot be loaded beside it"
BUILT_IN = "nouveau is built into the kernel, and takes the GPU before NVIDIA's driver can"

ROWS = [
    Row("none", "gpu.driver-source", sources(), "pass: No NVIDIA driver is installed"),
    Row(
        "a container in WSL",
        "gpu.driver-source",
        sources(OF_TOOLKIT, os={"wsl": True, "container": "docker"}, needs=ON_GPU),
        "pass: The NVIDIA driver 551.23 came from the machine that runs this container",
    ),
    Row(
        "libraries in a place of the system's own, and NVML answers",
        "gpu.driver-versions",
        driver(OLD, absent(), needs=ON_GPU) | {"gpus": KEPT_ELSEWHERE},
        f"pass: The driver in memory is {OLD}, and its libraries answer",
    ),
    Row(
        "packages",
        "gpu.driver-source",
        sources(PACKAGED),
        "pass: The NVIDIA driver 550.54.14 came from the distribution",
    ),
    Row(
        "two ways",
        "gpu.driver-source",
        sources(PACKAGED, BY_NVIDIA),
        "warn high: The NVIDIA driver came here by 2 ways at once: "
        "the distribution and NVIDIA's package repository",
        actor="system",
    ),
    Row(
        "two ways, and one more is coming",
        "gpu.driver-source",
        sources(BY_HAND, PACKAGED, needs=INSTALLING),
        "fail blocking: The NVIDIA driver came here by 2 ways at once: "
        "NVIDIA's installer, past the package manager and the distribution",
    ),
    Row(
        "the installer",
        "gpu.driver-source",
        sources(BY_HAND, needs=ON_GPU),
        "pass info: The NVIDIA driver came by NVIDIA's installer, past the package manager: "
        "packages of a driver do not go beside it",
    ),
    Row(
        "the installer, and packages are coming",
        "gpu.driver-source",
        sources(BY_HAND, needs=INSTALLING),
        "fail blocking: The NVIDIA driver came by NVIDIA's installer, past the package manager: "
        "packages of a driver do not go beside it",
        actor="system",
    ),
    Row(
        "Windows",
        "gpu.driver-source",
        sources(OF_WINDOWS, **WSL),
        "pass: The NVIDIA driver 551.23 came from Windows",
    ),
    Row(
        "a Linux driver in WSL",
        "gpu.driver-source",
        sources(OF_WINDOWS, PACKAGED, needs=ON_GPU, **WSL),
        "fail blocking: A Linux driver is installed in WSL, where it hides the one that Windows lends",
        actor="system",
    ),
    Row(
        "unread",
        "gpu.driver-source",
        {"gpus": 1, "software": {"driver_sources": hidden("rpm's database is read by rpm alone")}},
        "unknown: How the NVIDIA driver came here: rpm's database is read by rpm alone",
    ),
    Row(
        "a loader that does not know what Windows lends",
        "gpu.driver-versions",
        driver(
            hidden(), Reading("absent", why="the loader does not know it", source="/etc/ld.so.cache"), **WSL
        ),
        "warn warning: Programs do not find the driver's libraries: the loader does not know it",
        actor="system",
    ),
    Row(
        "nothing lent",
        "gpu.driver-versions",
        driver(hidden(), Reading("absent", why="Windows lends no library", source="/usr/lib/wsl/lib"), **WSL),
        "not_applicable: Whether the driver and its libraries agree: "
        "Windows brings the driver and its libraries: look there, or with /usr/lib/wsl/lib/nvidia-smi",
    ),
    Row("no GPU and no driver", "gpu.driver-source", {"software": {"driver_sources": ()}}, ()),
    Row(
        "one version",
        "gpu.driver-versions",
        driver(OLD, OLD, OLD),
        f"pass: The driver in memory and its libraries are both {OLD}",
    ),
    Row("upgraded", "gpu.driver-versions", driver(OLD, NEW, NEW), f"warn high: {MISMATCH}", actor="system"),
    Row(
        "upgraded, and the GPU is needed",
        "gpu.driver-versions",
        driver(OLD, NEW, NEW, needs=ON_GPU),
        f"fail blocking: {MISMATCH}",
    ),
    Row(
        "another one next",
        "gpu.driver-versions",
        driver(OLD, OLD, NEW),
        f"warn warning: The driver in memory is {OLD}, and after a restart it will be {NEW}",
    ),
    Row(
        "no libraries",
        "gpu.driver-versions",
        driver(OLD, absent(), OLD, needs=ON_GPU),
        f"fail blocking: The driver {OLD} is loaded, and its libraries are not here",
    ),
    Row(
        "no libraries in a container",
        "gpu.driver-versions",
        driver(OLD, absent(), absent(), **LXC),
        f"warn high: The driver {OLD} is loaded, and its libraries are not here",
        actor="host",
    ),
    Row("not loaded", "gpu.driver-versions", driver(absent(), OLD, OLD), f"warn high: {UNLOADED}"),
    Row(
        "not loaded, and the GPU is needed",
        "gpu.driver-versions",
        driver(absent(), OLD, OLD, needs=ON_GPU),
        f"fail blocking: {UNLOADED}",
    ),
    Row(
        "not loaded, and another is coming",
        "gpu.driver-versions",
        driver(absent(), OLD, OLD, needs=INSTALLING),
        f"warn warning: {UNLOADED}",
    ),
    Row(
        "none yet",
        "gpu.driver-versions",
        driver(absent(), absent()),
        "pass info: There is no NVIDIA driver yet",
    ),
    Row(
        "none, and none is coming",
        "gpu.driver-versions",
        driver(absent(), absent(), needs=ON_GPU),
        "fail blocking: There is no NVIDIA driver, and none is going to be installed",
    ),
    Row(
        "libraries unread",
        "gpu.driver-versions",
        driver(OLD, hidden()),
        "unknown: Whether the driver's libraries are of its version: only root may read it",
    ),
    Row(
        "WSL",
        "gpu.driver-versions",
        driver(elsewhere(), hidden(), **WSL),
        "not_applicable: Whether the driver and its libraries agree: "
        "Windows brings the driver and its libraries: look there, or with /usr/lib/wsl/lib/nvidia-smi",
    ),
    Row("no GPU", "gpu.driver-versions", {"software": {"loaded_driver": OLD}}, ()),
    Row("not loaded", "gpu.nouveau", nouveau(""), "pass: nouveau is not loaded"),
    Row("told to stay away", "gpu.nouveau", nouveau("blacklisted"), "pass: nouveau is told to stay away"),
    Row("loaded", "gpu.nouveau", nouveau("loaded"), f"warn warning: {LOADED}", actor="system"),
    Row(
        "loaded, model on the processor",
        "gpu.nouveau",
        nouveau("loaded", needs=ON_PROCESSOR),
        f"pass info: {LOADED}",
    ),
    Row(
        "loaded before an installation",
        "gpu.nouveau",
        nouveau("loaded", needs=INSTALLING),
        f"pass info: {LOADED}",
    ),
    Row(
        "built in",
        "gpu.nouveau",
        nouveau("built-in", needs=INSTALLING),
        f"fail blocking: {BUILT_IN}",
        actor="kernel",
    ),
    Row(
        "bound, whatever the list of modules says",
        "gpu.nouveau",
        nouveau(hidden(), gpus=[Gpu("0000:01:00.0", "0x10de", "0x2684", driver="nouveau")]),
        "warn warning: nouveau is loaded and has 0000:01:00.0, "
        "where NVIDIA's driver cannot be loaded beside it",
    ),
    Row(
        "unread",
        "gpu.nouveau",
        nouveau(hidden()),
        "unknown: Whether nouveau is loaded: only root may read it",
    ),
    Row("container", "gpu.nouveau", nouveau("loaded", **LXC), f"not_applicable: nouveau: {OUTSIDE}"),
    Row("no GPU", "gpu.nouveau", {"software": {"nouveau": "loaded"}}, ()),
    Row("nobody", "gpu.processes", users(), "pass: No program uses the GPU"),
    Row(
        "the screen",
        "gpu.processes",
        users(Process(812, "Xorg", "root"), needs=ON_GPU),
        "pass info: 1 program has the GPU open: Xorg (812)",
    ),
    Row(
        "the screen, and a driver is coming",
        "gpu.processes",
        users(Process(812, "Xorg", "root"), needs=INSTALLING),
        "warn warning: 1 program has the GPU open: Xorg (812)",
    ),
    Row(
        "the driver's own, as on each server",
        "gpu.processes",
        users(Process(611, "nvidia-persiste"), Process(700, "systemd-logind")),
        "pass info: 2 programs have the GPU open: nvidia-persiste (611) and systemd-logind (700)",
    ),
    Row(
        "another model",
        "gpu.processes",
        users(Process(812, "Xorg"), Process(4711, "python", "ada")),
        "warn warning: 2 programs have the GPU open: Xorg (812) and python (4711)",
        actor="system",
    ),
    Row(
        "unread",
        "gpu.processes",
        {"gpus": 1, "software": {"gpu_processes": hidden()}},
        "unknown: Who uses the GPU: only root may read it",
    ),
    Row("no GPU", "gpu.processes", {"software": {"gpu_processes": ()}}, ()),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_driver_is_judged(row: Row) -> None:
    check(row)


@pytest.mark.parametrize(
    ("module", "steps"),
    [
        (NEW, ("Restart: `sudo systemctl reboot`.",)),
        (
            OLD,
            (
                "Build the module of the libraries' version: `sudo dkms autoinstall`.",
                "Restart: `sudo systemctl reboot`.",
            ),
        ),
    ],
)
def test_a_restart_helps_once_the_module_is_built(module: str, steps: tuple[str, ...]) -> None:
    (found,) = ask("gpu.driver-versions", case(**driver(OLD, NEW, module)))
    assert found.remedy is not None
    assert (found.remedy.steps, found.remedy.reboot) == (steps, True)


@pytest.mark.parametrize(
    ("os", "command"),
    [
        ({}, "`sudo update-initramfs -u -k all`"),
        ({"id": "rocky", "like": ("rhel centos fedora",)}, "`sudo dracut --force --regenerate-all`"),
        ({"id": "void"}, "Make the initramfs anew, as this system does it."),
    ],
)
def test_nouveau_is_kept_away_as_each_system_does_it(os: dict[str, Any], command: str) -> None:
    (found,) = ask("gpu.nouveau", case(**nouveau("loaded", os=os)))
    assert found.remedy is not None
    assert found.remedy.steps[1] == command


def test_the_installer_s_driver_is_taken_away_by_its_own_program() -> None:
    (found,) = ask("gpu.driver-source", case(**sources(BY_HAND, PACKAGED)))
    assert found.remedy is not None
    assert found.remedy.steps == ("Take the installer's driver away: `sudo nvidia-uninstall`.", "Restart.")


def test_without_root_only_one_s_own_programs_are_seen() -> None:
    asked = case(**users())
    (found,) = ask("gpu.processes", replace(asked, facts=replace(asked.facts, privilege="none")))
    assert found.limits == "Without root only your own programs are seen."


def test_what_hides_the_driver_of_windows_is_taken_away_without_a_restart_of_the_machine() -> None:
    (found,) = ask("gpu.driver-source", case(**sources(OF_WINDOWS, PACKAGED, **WSL)))
    assert found.remedy is not None
    assert found.remedy.steps[-1] == "`wsl --shutdown` in Windows, and start again."
