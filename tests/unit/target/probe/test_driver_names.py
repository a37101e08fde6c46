"""Which packages are the driver."""

from __future__ import annotations

import pytest

from provisioner.target.probe.driver_names import is_driver, patterns

DRIVER = """
nvidia-driver nvidia-driver-550-server nvidia-open nvidia-kernel-dkms nvidia-open-kernel-dkms nvidia-smi
nvidia-persistenced nvidia-modprobe nvidia-dkms-535 nvidia-headless-no-dkms-580-server-open
nvidia-utils-580-server nvidia-fabricmanager nvidia-fabricmanager-570 nvidia-driver-pinning-580
nvidia-alternative nvidia-libopencl1 libnvidia-compute-580-server libnvidia-ml1 libnvidia-ptxjitcompiler1
libcuda1 libcudadebugger1 libnvcuvid1 libegl-nvidia0 libgl1-nvidia-glvnd-glx libgles-nvidia2
libglx-nvidia0 linux-modules-nvidia-580-server-generic linux-objects-nvidia-580-server-6.8.0-45-generic
linux-signatures-nvidia-6.8.0-45-generic xserver-xorg-video-nvidia firmware-nvidia-gsp
firmware-nvidia-tesla-535-gsp cuda-drivers cuda-drivers-550 kmod-nvidia-open-dkms akmod-nvidia
dkms-nvidia xorg-x11-drv-nvidia
"""
OTHER = """
nvidia-container-toolkit libnvidia-container1 nvidia-cuda-toolkit nvidia-cuda-dev nvidia-cudnn
nvidia-docker2 nvidia-texture-tools nvidia-vaapi-driver nvidia-profiler nvidia-visual-profiler
nvidia-nsight-compute nvidia-gds nvidia-prime libnvidia-egl-wayland1 libnvidia-ml-dev libnvidia-egl-gbm1
firmware-nvidia-graphics cuda-toolkit-12-4 libcudart12 libcuda1-dbgsym libgl1 libegl1 linux-image-amd64
linux-headers-amd64 dkms nouveau-firmware
"""


@pytest.mark.parametrize("name", DRIVER.split())
def test_a_package_of_the_driver(name: str) -> None:
    assert is_driver(name)


@pytest.mark.parametrize("name", OTHER.split())
def test_a_package_that_is_something_else(name: str) -> None:
    assert not is_driver(name)


def test_unattended_upgrades_reads_the_same_patterns() -> None:
    # Its file puts each between double quotes, and apt ends an item at a semicolon outside of them.
    assert [one for one in patterns() if not one.startswith("^") or '"' in one] == []
