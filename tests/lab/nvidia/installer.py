"""The installer of CUDA 12.4, emulated: a script that takes its options and puts a few of its files."""

from __future__ import annotations

import hashlib

import msgspec

from provisioner.compat import knowledge
from tests.lab.nvidia.stubs import NVCC

_SCRIPT = """\
#!/bin/sh
for word in "$@"; do
  case $word in
    --toolkitpath=*) path=${word#*=} ;;
    --silent|--toolkit|--no-man-page|--override|--tmpdir=*) ;;
    *) echo "Unknown option: $word" >&2; exit 2 ;;
  esac
done
mkdir -p "$path/bin" "$path/lib64"
cat >"$path/bin/nvcc" <<'NVCC'
@NVCC@NVCC
chmod 755 "$path/bin/nvcc"
ln -sfn "$path" /usr/local/cuda
exit 0
# An archive follows in the real one.
"""
CONTENT = _SCRIPT.replace("@NVCC@", NVCC).encode() + b"\0" * (1 << 20)


def of_mirror(mirror: str) -> tuple[str, knowledge.Runfile]:
    """Its path on a server, and what the plan is told of it in place of what the data says."""
    real = knowledge.runfile("toolkit", "12.4", "x86_64")
    assert real is not None
    path = "/compute/" + real.url.partition("/compute/")[2]
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return path, msgspec.structs.replace(
        real, url=mirror + path, sha256=sha256, size=len(CONTENT), disk=1 << 20
    )
