"""Proof that a CUDA toolkit works here: a program is compiled, linked and run.

With a GPU that a driver serves it must compute, and every number is compared. Without one it must say that
there is no device, by CUDA's own error code; nothing else counts.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import TargetError
from ..probe import gpus, system, windows
from ..runtime.files import size_text
from . import nvcc_errors
from .command import Host, last_words

SOURCE = r"""
#include <cstdio>
#include <cuda_runtime.h>

__global__ void twice(const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = 2 * in[i] + 1;
}

static int said(const char *where, cudaError_t error) {
  std::printf("proof.where=%s\nproof.error=%d\nproof.name=%s\nproof.text=%s\n", where, (int)error,
              cudaGetErrorName(error), cudaGetErrorString(error));
  return 3;
}

int main() {
  const int n = 4096;
  static int in[n], out[n];
  int count = 0, wrong = 0, driver = 0, runtime = 0, *a = 0, *b = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  std::printf("proof.runtime=%d\nproof.driver=%d\n", runtime, driver);
  cudaError_t error = cudaGetDeviceCount(&count);
  std::printf("proof.devices=%d\n", error == cudaSuccess ? count : 0);
  if (error != cudaSuccess) return said("counting devices", error);
  for (int device = 0; device < count; ++device) {
    if ((error = cudaSetDevice(device)) != cudaSuccess) return said("choosing a device", error);
    for (int i = 0; i < n; ++i) in[i] = 7 * i + device, out[i] = 0;
    if ((error = cudaMalloc(&a, sizeof in)) != cudaSuccess) return said("taking memory", error);
    if ((error = cudaMalloc(&b, sizeof out)) != cudaSuccess) return said("taking memory", error);
    error = cudaMemcpy(a, in, sizeof in, cudaMemcpyHostToDevice);
    if (error != cudaSuccess) return said("copying", error);
    twice<<<(n + 255) / 256, 256>>>(a, b, n);
    if ((error = cudaGetLastError()) != cudaSuccess) return said("starting the kernel", error);
    error = cudaMemcpy(out, b, sizeof out, cudaMemcpyDeviceToHost);
    if (error != cudaSuccess) return said("computing", error);
    for (int i = 0; i < n; ++i) wrong += out[i] != 2 * (7 * i + device) + 1;
    cudaFree(a);
    cudaFree(b);
  }
  std::printf("proof.wrong=%d\n", wrong);
  return wrong ? 4 : 0;
}
"""
# CUDA's own error codes, driver_types.h: cudaErrorInsufficientDriver, cudaErrorNoDevice.
NO_DRIVER, NO_DEVICE = 35, 100
# Compiling takes a second, and a GPU that works needs none: who takes longer hangs.
COMPILE_S, RUN_S = 300, 120
FOLDER = ".nvcc-proof"
_RELEASE = re.compile(r"release (\d+\.\d+), V([\d.]+)")


class Asked(NamedTuple):
    """`release` is the wanted one ("12.4"), `home` where it is ("" to look), `compiler` the host compiler
    ("" for the system's), `folder` one that programs may run in, `shared`: libcudart is found as any program
    would find it, else where the toolkit has it.
    """

    release: str
    home: str = ""
    compiler: str = ""
    folder: str = "/var/lib/provisioner"
    shared: bool = True


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry `system.nvcc`: `{"release", "home", "compiler", "folder", "shared", "check"}`."""
    fields = {key: request[key] for key in Asked._fields if key in request}
    return prove(Host(), Asked(**fields), bool(request.get("check")))


def prove(host: Host, asked: Asked, check: bool = False) -> Dict[str, Any]:
    """Compile, link, run: `nvcc` (version), `release`, `path`, `arch` (flags), `devices`, `computed`, `said`,
    `seconds`. With `check` nothing is compiled, and `nvcc` is "" where none is there. Raises TargetError.
    """
    found = find(host, asked)
    if check:
        return {"changed": False, "proved": False, "nvcc": found[1] if found else ""}
    if found is None:
        raise TargetError(
            f"CUDA {asked.release} is not on this box: no nvcc of it is there{_others(host, asked)}",
            "run `provision up` again, or look which packages were installed",
        )
    path, version = found
    began = time.monotonic()
    asked = asked._replace(compiler=needed(host, asked.compiler))
    here, cards = served(host)
    arch = flags(cards)
    folder = host.box.path(os.path.join(asked.folder, FOLDER))
    # What a killed attempt left goes first, so that nothing piles up.
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.makedirs(folder, mode=0o700)
        compiled(host, asked, path, version, arch, folder)
        rc, said = ran(host, folder)
    except OSError as error:
        raise nvcc_errors.of_the_disk(error, asked.folder) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    computed = judged(rc, said, here, asked.release, windows.around(host.box))
    return {
        "changed": False, "proved": True, "nvcc": version, "release": asked.release, "path": path,
        "arch": arch, "compiler": asked.compiler, "devices": int(said.get("devices", "0")),
        "computed": computed, "said": said.get("name", ""), "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def find(host: Host, asked: Asked) -> Optional[Tuple[str, str]]:
    """Path and version of the nvcc that is of the wanted release; None when there is none."""
    for path in _places(asked):
        version = version_of(host, path)
        if version and version[0] == asked.release:
            return path, version[1]
    return None


def version_of(host: Host, path: str) -> Optional[Tuple[str, str]]:
    """Release and version that an nvcc gives itself ("12.4", "12.4.131"); None when it is not there."""
    if not os.access(host.box.path(path), os.X_OK):
        return None
    said = host.ask([path, "--version"])
    match = _RELEASE.search(said.text())
    if match is None:
        raise TargetError(
            f"{path} names no release: {last_words(said.lines)}",
            "reinstall the toolkit that it belongs to, then run again",
        )
    return match.group(1), match.group(2)


def _places(asked: Asked) -> List[str]:
    homes = [asked.home] if asked.home else [f"/usr/local/cuda-{asked.release}", "/usr", "/usr/local/cuda"]
    return [f"{home}/bin/nvcc" for home in homes]


def _others(host: Host, asked: Asked) -> str:
    found = [(path, version_of(host, path)) for path in _places(asked)]
    there = [f"{path} is {version[0]}" for path, version in found if version]
    return f" ({', '.join(there)})" if there else ""


def served(host: Host) -> Tuple[bool, List[Dict[str, Any]]]:
    """Whether a GPU is here that a driver serves, and the GPUs."""
    box = host.box
    kernel = (box.look("os.kernel", "/proc/sys/kernel/osrelease") or "").strip()
    wsl = bool(system.wsl(box, kernel, host.container))
    cards, driver = gpus.gpus(box, wsl)
    if wsl:
        return bool(cards), cards
    # One that is given to a virtual machine (vfio-pci) is none of this system's.
    cards = [card for card in cards if card["driver"] == "nvidia"]
    # Of its host's driver a container sees the version, and may use it only where it was given the devices.
    return bool(cards and driver and box.there("/dev/nvidiactl")), cards


def flags(cards: List[Dict[str, Any]]) -> List[str]:
    """What tells nvcc which GPUs to make machine code for; nothing where none is known."""
    known = sorted({str(card["capability"]).replace(".", "") for card in cards if card.get("capability")})
    return [f"-gencode=arch=compute_{number},code=sm_{number}" for number in known]


def needed(host: Host, compiler: str) -> str:
    """The host compiler that nvcc is told of; "" where the system's own g++ is no newer than that one."""
    own, most = host.tool("g++"), compiler.rpartition("-")[2]
    if own is None or not most.isdigit():
        return compiler
    major = host.ask([own, "-dumpversion"]).text().strip().partition(".")[0]
    return "" if major.isdigit() and int(major) <= int(most) else compiler


def compiled(host: Host, asked: Asked, path: str, version: str, arch: List[str], folder: str) -> None:
    """Compile and link the program in `folder`. Raises TargetError with what stood in the way."""
    with open(os.path.join(folder, "proof.cu"), "w", encoding="utf-8") as out:
        out.write(SOURCE)
    argv = [path, *arch, "-cudart", "shared", "-o", os.path.join(folder, "proof")]
    if asked.compiler:
        argv += ["-ccbin", asked.compiler]
    if not asked.shared:
        argv += ["-Xlinker", f"-rpath={os.path.dirname(os.path.dirname(path))}/lib64"]
    done = host.ask([*_limit(host, COMPILE_S), *argv, os.path.join(folder, "proof.cu")])
    if done.rc:
        raise nvcc_errors.of_compiling(done, version, asked, arch)


def ran(host: Host, folder: str) -> Tuple[int, Dict[str, str]]:
    """Run the program: its exit status and what it said. Raises TargetError when it could not start."""
    lent: Dict[str, str] = {}
    windows.settle(lent, host.box)
    done = host.ask([*_limit(host, RUN_S), os.path.join(folder, "proof")], lent)
    said = dict(line[6:].split("=", 1) for line in done.lines if line.startswith("proof.") and "=" in line)
    if not said:
        raise nvcc_errors.of_starting(done, size_text(os.path.getsize(os.path.join(folder, "proof"))))
    return done.rc, said


def _limit(host: Host, seconds: int) -> List[str]:
    timeout = host.tool("timeout")
    return [timeout, "--kill-after=5", str(seconds)] if timeout else []


def judged(rc: int, said: Dict[str, str], here: bool, release: str, in_wsl: bool) -> bool:
    """Whether it computed; False where it rightly found no device. Raises TargetError for all else."""
    if rc == 0 and said.get("wrong") == "0" and int(said.get("devices", "0")) > 0:
        return True
    code = int(said.get("error", "0"))
    if not here and code in (NO_DRIVER, NO_DEVICE):
        return False
    raise nvcc_errors.of_running(rc, said, here, release, in_wsl)
