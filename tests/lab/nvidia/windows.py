"""What Windows would lend to a lab machine that looks like WSL: a driver's libraries, and a search path."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab import Machine

LIBRARIES = "/usr/lib/wsl/lib"
DRIVER = "580.95.05"
# Where its disk would be, with programs as Windows has them, and where each notes that it was started.
DISK, TOUCHED = "/mnt/c", "/mnt/c/touched"
FOLDERS = (f"{DISK}/Windows/System32", f"{DISK}/Program Files/NVIDIA/CUDA/v12.4/bin", f"{DISK}/Python312")
PROGRAMS = (
    "python3", "python", "pip3", "uv", "git", "cmake", "gcc", "g++", "nvcc", "nvidia-smi", "ansible-playbook",
)  # fmt: skip
_CUDA = "int cuInit(unsigned flags) { return 0; }"
_DXCORE = "int DXCoreCreateAdapterFactory(void) { return 0; }"
_SMI = f"#!/bin/sh\n# emulated\necho 'GPU 0: NVIDIA GeForce RTX 4090 (driver {DRIVER})'\n"
_NVML = Path(__file__).parents[2] / "vm/standin/nvml.c"


def lend(machine: Machine, folder: Path) -> None:
    """Stand-ins for the libraries that Windows lends, which really load: NVML tells of one RTX 4090."""
    for name, text in (("libcuda.so.1", _CUDA), ("libdxcore.so", _DXCORE)):
        source = folder / f"{name}.c"
        source.write_text(text)
        _library(machine, folder, name, str(source))
    _library(machine, folder, "libnvidia-ml.so.1", f'-DDRIVER_VERSION="{DRIVER}"', "-DOF_WINDOWS", str(_NVML))
    machine.run("cp", f"{LIBRARIES}/libcuda.so.1", f"{LIBRARIES}/libcuda.so")
    machine.run("sh", "-ec", f"cat > {LIBRARIES}/nvidia-smi; chmod 555 {LIBRARIES}/nvidia-smi", input=_SMI)


def _library(machine: Machine, folder: Path, name: str, *arguments: str) -> None:
    made = folder / name
    argv = ["gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{name}", "-o", str(made), *arguments]
    subprocess.run(argv, check=True)
    machine.run("sh", "-ec", f"cat > {LIBRARIES}/{name}", input=made.read_bytes())


def lay_in_the_way(machine: Machine) -> None:
    """Windows' folders first on everybody's search path, each with programs that none of ours may start."""
    for folder in FOLDERS:
        for name in PROGRAMS:
            script = f'#!/bin/sh\necho "$0 $*" >> {TOUCHED}\nexit 77\n'
            write = 'mkdir -p "$1" && cat > "$1/$2" && chmod 755 "$1/$2"'
            machine.run("sh", "-ec", write, "write", folder, name, input=script)
    path = ":".join((*FOLDERS, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
    machine.run("sh", "-ec", "cat > /etc/environment", input=f'PATH="{path}"\n')


def touched(machine: Machine) -> list[str]:
    """Command lines that reached a program of Windows."""
    return machine.run("sh", "-c", f"cat {TOUCHED} 2>/dev/null || true").stdout.splitlines()


def digests(machine: Machine) -> list[str]:
    """What Windows lends, byte by byte."""
    return machine.run("sh", "-c", f"cd {LIBRARIES} && sha256sum *").stdout.splitlines()
