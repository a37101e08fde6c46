"""The real driver 550 and the real CUDA 12.4 of Debian 13, as a user gets them: no emulation.

Without a GPU nothing is loaded: what is proved is that the right packages are there, that dkms built the
modules for a kernel, that nvcc compiles and links, and that all of it goes again. One machine and one run
for all of it; the tests stand in the order in which they happen to the machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration import nvidia
from tests.integration.cli import Provision
from tests.integration.remember import remember
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

# Where nothing is remembered of an earlier build, or others use the two cores too, it may take half an hour.
SECONDS = 3600.0
pytestmark = pytest.mark.timeout(SECONDS + 300)
ASKED = (
    *("--set", "nvidia_driver_without_gpu=install"),
    *("--set", "nvidia_driver_branch=550"),
    *("--set", "nvidia_driver_modules=proprietary"),
    *("--set", "nvidia_driver_headers=[linux-headers-cloud-amd64]"),
    *("--set", "cuda_toolkit_version=12.4"),
)
DRIVER, TOOLKIT = "550.163.01", "12.4.131"
MODULES = ("", "-drm", "-modeset", "-peermem", "-uvm")
SHELLS = ("a command over SSH", "a login shell", "zsh", "fish", "su", "a service", "cron")
MODPROBE, PROFILE = "/etc/modprobe.d/provisioner-nvidia.conf", "/etc/profile.d/provisioner-cuda.sh"
# An emulated installer of NVIDIA's: its layout, with the real nvcc of this machine behind it.
RUNFILE = """#!/bin/sh
for word in "$@"; do case $word in --toolkitpath=*) path=${word#*=} ;; --driver) exit 9 ;; esac; done
mkdir -p "$path/bin" "$path/lib64"
printf '#!/bin/sh\\nexec /usr/bin/nvcc "$@"\\n' >"$path/bin/nvcc"
chmod 755 "$path/bin/nvcc"
ln -sfn "$path" /usr/local/cuda
exit 0
"""


class Fresh(NamedTuple):
    """A machine, and all that `provision down` has to bring back on it."""

    machine: Machine
    state: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def fresh(module_machine_factory: MachineFactory) -> Fresh:
    """A fresh Debian 13 machine, with the shells that are asked."""
    machine = module_machine_factory(release="trixie", cache=True)
    remember(machine, "fish", "zsh", "cron")
    return Fresh(machine, nvidia.state(machine))


@pytest.fixture(scope="module")
def installed(fresh: Fresh, module_provision: Provision) -> Machine:
    """The same machine once `provision up` has put driver and toolkit on it."""
    module_provision.up(fresh.machine, *ASKED, timeout=SECONDS).expect(0)
    return fresh.machine


def test_the_drivers_modules_are_built_for_the_kernel_that_has_headers(installed: Machine) -> None:
    (release,) = installed.run("sh", "-c", "ls -d /lib/modules/*/build | cut -d/ -f4").stdout.split()
    status = installed.run("dkms", "status").stdout.strip()
    built = installed.run("sh", "-c", f"ls /lib/modules/{release}/updates/dkms").stdout.split()
    said = installed.run("modinfo", "-k", release, "-F", "version", "nvidia-current").stdout.strip()
    result = nvidia.receipt(installed, "nvidia_driver")["result"]

    assert status.startswith(f"nvidia-current/{DRIVER}, {release}, x86_64: installed")
    assert {name.partition(".ko")[0] for name in built} == {f"nvidia-current{end}" for end in MODULES}
    assert said == DRIVER
    assert (result["version"], result["flavour"]) == (DRIVER, "proprietary")
    assert result["kernels"] == {release: DRIVER}


def test_a_cuda_program_finds_the_drivers_library(installed: Machine) -> None:
    # The library is the real one: it starts, and says that it finds no driver or no device.
    ask = "import ctypes; print(ctypes.CDLL('libcuda.so.1').cuInit(0))"
    assert installed.run("python3", "-c", ask).stdout.strip() in {"100", "999", "803"}
    assert installed.run("nvidia-smi", check=False).returncode == 9


def test_the_drivers_packages_are_held(installed: Machine) -> None:
    held = set(installed.run("apt-mark", "showhold").stdout.split())
    holds = {
        one["name"]
        for one in nvidia.receipt(installed, "nvidia_driver")["resources"]
        if one["kind"] == "hold"
    }

    assert {"nvidia-driver", "nvidia-kernel-dkms", "libcuda1", "nvidia-smi"} <= held
    # What is not the driver's goes its own way.
    assert held.isdisjoint({"linux-headers-cloud-amd64", "dkms", "libgl1", "ccache", "nvidia-cuda-toolkit"})
    assert holds == {name.partition(":")[0] for name in held}


def test_the_toolkit_is_the_real_one_and_proved(installed: Machine) -> None:
    assert nvidia.receipt(installed, "cuda_toolkit")["result"] == {
        "proved": True,
        "nvcc": TOOLKIT,
        "release": "12.4",
        "path": "/usr/bin/nvcc",
        "arch": [],
        "compiler": "g++-13",
        "devices": 0,
        "computed": False,
        "said": "cudaErrorNoDevice",
    }


def test_every_kind_of_shell_finds_the_toolkit(installed: Machine) -> None:
    seen = nvidia.shells(installed)

    assert {name: (one.home, one.nvcc) for name, one in seen.items()} == dict.fromkeys(
        SHELLS, ("/usr", "/usr/bin/nvcc")
    )
    assert not [name for name, one in seen.items() if len(set(one.path)) != len(one.path)]


def test_the_second_run_has_nothing_to_do(installed: Machine, module_provision: Provision) -> None:
    again = module_provision.up(installed, *ASKED).expect(0)

    assert again.host(installed.name)["status"] == "nothing to do"
    module_provision.verify(installed).expect(0)


@pytest.mark.parametrize(
    ("role", "resource", "command"),
    [
        ("nvidia_driver", "nvidia_driver.hold.nvidia-smi", "apt-mark unhold nvidia-smi"),
        ("nvidia_driver", "nvidia_driver.modprobe", f"rm {MODPROBE}"),
        ("cuda_toolkit", "cuda_toolkit.profile", f"rm {PROFILE}"),
    ],
)
def test_what_is_broken_is_seen(
    installed: Machine, module_provision: Provision, role: str, resource: str, command: str
) -> None:
    installed.run("sh", "-c", command)

    assert resource in drifted(module_provision.verify(installed).expect(5).host(installed.name))[role]


def test_what_is_broken_is_mended_by_one_run(installed: Machine, module_provision: Provision) -> None:
    module_provision.up(installed, *ASKED).expect(0)

    assert drifted(module_provision.verify(installed).expect(0).host(installed.name)) == {}
    assert "nvidia-smi" in installed.run("apt-mark", "showhold").stdout.split()


def drifted(host: dict[str, Any]) -> dict[str, list[str]]:
    """Role to the ids of what differs, for the roles that are not clean."""
    return {
        drift["role"]: [item["id"] for item in drift["items"]]
        for drift in host["drift"]
        if drift["status"] != "clean"
    }


def test_nvidias_layout_is_found_by_every_kind_of_shell_emulated(installed: Machine, tmp_path: Path) -> None:
    installed.run("sh", "-c", "mkdir -p /srv/mirror && cat >/srv/mirror/cuda.run", input=RUNFILE)
    installed.run("systemd-run", "--unit=mirror", "python3", "-m", "http.server", "-d", "/srv/mirror", "8123")
    environment = installed.run("cat", "/etc/environment").stdout
    variables = {
        "cuda_toolkit_release": "12.4",
        "cuda_toolkit_way": "runfile",
        "cuda_toolkit_compiler": "g++-13",
        "cuda_toolkit_runfile": {
            "url": "http://127.0.0.1:8123/cuda.run",
            "sha256": hashlib.sha256(RUNFILE.encode()).hexdigest(),
            "size": len(RUNFILE),
        },
    }

    assert nvidia.changed(nvidia.play(installed, "cuda_toolkit", variables, tmp_path)) > 0
    seen = nvidia.shells(installed)
    assert nvidia.changed(nvidia.play(installed, "cuda_toolkit", variables, tmp_path)) == 0
    installed.run("systemctl", "stop", "mirror")

    assert installed.run("readlink", "-f", "/usr/local/cuda").stdout.strip() == "/usr/local/cuda-12.4"
    assert {one.home for one in seen.values()} == {"/usr/local/cuda"}
    # cron gives its jobs a PATH of its own, whatever PAM says.
    assert {name for name, one in seen.items() if "/usr/local/cuda/bin" not in one.path} == {"cron"}
    assert not [name for name, one in seen.items() if any("lib" in folder for folder in one.path)]
    assert "LD_LIBRARY_PATH" not in installed.run("cat", "/etc/environment").stdout
    assert environment != installed.run("cat", "/etc/environment").stdout


# What legitimately differs once all has gone, and why: Debian's packages leave their accounts and groups
# behind when they are purged (nobody knows which files still are theirs).
ACCOUNTS = {"nvpd": "nvidia-persistenced"}
GROUPS = {
    "nvpd": "nvidia-persistenced",
    "clock": "udev",
    "input": "udev",
    "kvm": "udev",
    "render": "udev",
    "sgx": "udev",
}
LISTS = ("group", "group-", "gshadow", "gshadow-", "passwd", "passwd-", "shadow", "shadow-")
STAYS = {
    *(f"accounts {name}" for name in ACCOUNTS),
    *(f"groups {name}" for name in GROUPS),
    *(f"files ./{name}" for name in LISTS),
}


# Last: nothing of it is there any more.
def test_down_leaves_the_machine_as_it_was(
    installed: Machine, fresh: Fresh, module_provision: Provision
) -> None:
    module_provision("down", *module_provision.reach(installed), "--yes", "--json", timeout=SECONDS).expect(0)

    assert set(nvidia.different(fresh.state, nvidia.state(installed))) == STAYS
    left = "ls -d /lib/modules/*/updates /usr/local/cuda* /var/lib/dkms/nvidia* /opt/provisioner"
    assert installed.run("sh", "-c", f"{left} 2>/dev/null", check=False).stdout == ""
