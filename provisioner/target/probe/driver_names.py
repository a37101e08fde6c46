"""Names of the packages that are the NVIDIA driver: the one place that knows them."""

from __future__ import annotations

import re
from typing import List

# Each matches from the start of a name. Those for containers, and of CUDA, have versions of their own; others
# (settings of EGL, prime, …) go with any version of the driver. unattended-upgrades reads the same patterns.
PATTERNS = (
    (
        "^(lib)?nvidia-(?!container|cuda|cudnn|docker|cg|texture|vaapi|profiler|visual|nsight|mig|gds|fs|prime"
        "|ml-dev|opencl-dev|egl-(wayland|gbm|x))"
    ),
    "^lib(egl|gl1?|gles1?|gles2|glx)-nvidia",
    "^lib(cuda1|cudadebugger1|nvcuvid1|nvoptix1|xnvctrl0)$",
    "^linux-(modules|objects|signatures)-nvidia-",
    "^xserver-xorg-video-nvidia",
    "^firmware-nvidia-([^-]+-)*gsp",
    "^cuda-drivers",
    "^(akmod|kmod|dkms|xorg-x11-drv)-nvidia",
)
# The same for programs that know no patterns but with `*`, as apt's preferences and dnf do. OTHERS are meant
# by them too, and are not the driver.
GLOBS = (
    "cuda-drivers*", "firmware-nvidia-*gsp*", "libcuda1", "libcudadebugger1", "libegl-nvidia*",
    "libgl-nvidia*", "libgl1-nvidia*", "libgles*-nvidia*", "libglx-nvidia*", "libnvcuvid1", "libnvidia-*",
    "libnvoptix1", "libxnvctrl0", "linux-modules-nvidia-*", "linux-objects-nvidia-*",
    "linux-signatures-nvidia-*", "nvidia-alternative*", "nvidia-compute-utils*", "nvidia-dkms*",
    "nvidia-driver*", "nvidia-egl*", "nvidia-fabricmanager*", "nvidia-firmware*", "nvidia-headless*",
    "nvidia-imex*", "nvidia-kernel*", "nvidia-legacy-check", "nvidia-libopencl1*", "nvidia-modprobe",
    "nvidia-open*", "nvidia-opencl-icd*", "nvidia-persistenced", "nvidia-settings", "nvidia-smi",
    "nvidia-support", "nvidia-utils*", "nvidia-vdpau-driver*", "nvidia-vulkan*", "nvidia-xconfig",
    "xserver-xorg-video-nvidia*",
)  # fmt: skip
OTHERS = ("libnvidia-container*", "libnvidia-egl-*", "libnvidia-ml-dev")
_ANY = re.compile("|".join(PATTERNS))


def is_driver(name: str) -> bool:
    """Whether a package is part of the driver: of one version with it, and no use without it."""
    return _ANY.match(name) is not None


def patterns() -> List[str]:
    """The patterns, as a list."""
    return list(PATTERNS)
