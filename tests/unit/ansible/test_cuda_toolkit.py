"""What the role cuda_toolkit lets no package manager bring, and what its files for shells do."""

from __future__ import annotations

import subprocess
from typing import Any

import jinja2
import pytest

from provisioner import layout
from provisioner.target.system.packages.base import matching
from provisioner.yamlfile import load_yaml

ROLE = layout.roles() / "cuda_toolkit"
VARIABLES: dict[str, Any] = load_yaml((ROLE / "vars/main.yml").read_text())
NEVER: list[str] = VARIABLES["_cuda_toolkit_never"]
DRIVERS = [
    "cuda", "cuda-12-4", "cuda-drivers", "cuda-drivers-550", "cuda-runtime-12-4", "nvidia-driver",
    "nvidia-driver-550", "nvidia-driver-550-server-open", "nvidia-open", "nvidia-open-560",
    "nvidia-open-kernel-dkms", "nvidia-kernel-dkms", "nvidia-kernel-common", "nvidia-dkms-550-open",
    "linux-modules-nvidia-550-server-generic", "kmod-nvidia-open-dkms", "dkms",
]  # fmt: skip
# As apt of trixie installs them with nvidia-cuda-toolkit 12.4.131~12.4.1-2, and NVIDIA's own.
TOOLKITS = [
    "nvidia-cuda-toolkit", "nvidia-cuda-dev", "nvidia-profiler", "nvidia-opencl-dev", "libcuda1",
    "libnvidia-ml1", "libnvidia-ml-dev", "libnvidia-ptxjitcompiler1", "nvidia-alternative",
    "nvidia-installer-cleanup", "nvidia-legacy-check", "nvidia-support", "glx-alternative-nvidia",
    "update-glx", "libcudart12", "libcublas12", "g++-13", "cuda-toolkit-12-4", "cuda-nvcc-12-4",
    "cuda-cudart-dev-12-4", "cuda-toolkit-12-4-config-common", "cuda-keyring", "cudnn9-cuda-12",
]  # fmt: skip


def test_no_driver_comes_along_and_every_toolkit_does() -> None:
    assert matching(DRIVERS, NEVER) == sorted(DRIVERS)
    assert matching(TOOLKITS, NEVER) == []


def test_beside_a_driver_its_library_is_let_alone() -> None:
    assert matching(TOOLKITS, VARIABLES["_cuda_toolkit_never_beside_a_driver"]) == [
        "libcuda1", "libnvidia-ml1", "libnvidia-ptxjitcompiler1",
    ]  # fmt: skip


def profile(**variables: Any) -> str:
    """The file for login shells."""
    text = (ROLE / "templates/profile.sh.j2").read_text()
    environment = jinja2.Environment(
        keep_trailing_newline=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["quote"] = lambda value: value
    return environment.from_string(text).render(**variables)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_sourced_twice_it_adds_once(shell: str) -> None:
    text = profile(
        _cuda_toolkit_variables={"CUDA_HOME": "/usr/local/cuda", "LD_LIBRARY_PATH": "/usr/local/cuda/lib64"},
        _cuda_toolkit_folders=["/usr/local/cuda/bin"],
        _cuda_toolkit_libraries="/usr/local/cuda/lib64",
    )

    said = subprocess.run(
        [shell, "-uec", text + text + 'echo "$PATH $CUDA_HOME $LD_LIBRARY_PATH"'],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    # lib64 is right in NVIDIA's layout; `lib` has nothing in it.
    assert said.stdout == "/usr/local/cuda/bin:/usr/bin:/bin /usr/local/cuda /usr/local/cuda/lib64\n"


def test_where_debian_has_it_the_path_is_left_alone() -> None:
    text = profile(
        _cuda_toolkit_variables={"CUDA_HOME": "/usr"}, _cuda_toolkit_folders=[], _cuda_toolkit_libraries=""
    )

    assert text == "# Written by provision; changes are overwritten.\nexport CUDA_HOME=/usr\n"
