"""llama.cpp's wheel expects the system's OpenMP library, which a bare box has not and only root may install.

A wheel beside it in the environment carries that library, renamed as wheels do. Under its own name again it
is loaded into this process, where the next library that needs it finds it.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
import sys
from typing import List, Optional

from ...errors import TargetError

NAME = b"libgomp.so.1"
_RENAMED = re.compile(rb"\0(libgomp-[0-9a-f]{6,}\.so[.0-9]*)\0")


def make_sure(folders: Optional[List[str]] = None) -> None:
    """Load the system's library, or else the one of a wheel in `folders` (sys.path).

    Its threads sleep while they wait for each other: spinning, its default, made generation on a busy machine
    of two cores more than five times slower.
    """
    # Read once, when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        ctypes.CDLL(NAME.decode())
    except OSError as error:
        for folder in sys.path if folders is None else folders:
            for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.libs", "libgomp-*.so*"))):
                with open(path, "rb") as file:
                    _load(own_name(file.read()))
                return
        raise TargetError(
            f"llama.cpp needs the OpenMP library: {error}", "install it (apt-get install libgomp1)"
        ) from error


def own_name(library: bytes) -> bytes:
    """The library with its own name in place of the one that a wheel gave it, byte for byte as long."""
    return _RENAMED.sub(lambda found: b"\0" + NAME.ljust(len(found.group(1)), b"\0") + b"\0", library)


def _load(library: bytes) -> None:
    memory = os.memfd_create("libgomp")
    with open(memory, "wb", closefd=True) as file:
        file.write(library)
        file.flush()
        ctypes.CDLL(f"/proc/self/fd/{memory}", mode=ctypes.RTLD_GLOBAL)
