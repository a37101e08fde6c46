"""What stood in the way of the toolkit's proof, and the next step: words of nvcc, the loader and CUDA."""

from __future__ import annotations

import errno
import re
from typing import Any, Dict, List, NamedTuple, Optional, Pattern, Sequence

from ..errors import TargetError
from ..probe.windows import SMI
from ..runtime.files import os_refusal
from ..runtime.process import Done
from .command import last_words


class Known(NamedTuple):
    """A message that is known: what it means, and what helps. Both may name {release}, {compiler} and the
    groups of `words`.
    """

    words: Pattern[str]
    what: str
    hint: str


def _known(words: str, what: str, hint: str) -> Known:
    return Known(re.compile(words), what, hint)


# The first that is found decides.
COMPILING = (
    _known(
        r"unsupported GNU version! gcc versions later than (?P<most>\d+) are not supported",
        "nvcc {release} does not take the host compiler {compiler}: it takes gcc up to {most}",
        "install g++-{most} and set cuda_toolkit_compiler to g++-{most}, or take a newer toolkit",
    ),
    _known(
        r"unsupported clang version! .*?(?:less|earlier) than (?P<most>\d+)",
        "nvcc {release} does not take the host compiler {compiler}: it takes clang before {most}",
        "set cuda_toolkit_compiler to a g++ that it takes",
    ),
    _known(
        r"No space left on device",
        "the disk is full: there is no room to compile a program of a few kilobytes",
        "free some space in /tmp and where the state is kept, then run again",
    ),
    _known(
        r"Unsupported gpu architecture '(?P<arch>[\w]+)'",
        "CUDA {release} does not know this GPU ({arch})",
        "take a newer toolkit: `provision plan` names those that do",
    ),
    _known(
        r"No supported gcc/g\+\+ host compiler found|\b(?:gcc|g\+\+|cc|clang\+*)(?:-[\d.]+)?: "
        r"(?:not found|No such file|command not found)|[Ff]ailed to preprocess host compiler properties"
        r"|No such file or directory.*?host compiler",
        "there is no host compiler for nvcc {release}: {compiler} is missing",
        "install the package {package}, then run again",
    ),
    _known(
        r"cannot find -l(?P<library>\w+)",
        "lib{library} of the toolkit is missing",
        "install the toolkit's packages again: its libraries for development are not there",
    ),
    _known(
        r"fatal error: (?P<header>[\w./+-]+\.h(?:pp)?): No such file",
        "the header {header} is missing",
        "install the toolkit's packages and the C library's headers (libc6-dev, glibc-devel)",
    ),
)
STARTING = (
    _known(
        r"error while loading shared libraries: (?P<library>[\w.+-]+): cannot open",
        "a program made here does not find {library}",
        "name the toolkit's lib64 in a file of /etc/ld.so.conf.d, run ldconfig, then run again",
    ),
    _known(
        r"[Pp]ermission denied",
        "programs may not run where the state is kept",
        "remount that file system without noexec, then run again",
    ),
)
# CUDA's error codes (driver_types.h), with a GPU there.
RUNNING = {
    35: ("the driver is too old for CUDA {release}", "install a newer driver: `provision plan` says which"),
    100: (
        "CUDA finds no device, though a GPU is here and its driver is loaded",
        "run {smi}; in a container pass the devices on",
    ),
    222: (
        "the driver does not know the PTX of CUDA {release}",
        "install a newer driver, or an older toolkit",
    ),
    802: (
        "the GPUs wait for the fabric manager",
        "start nvidia-fabricmanager, of exactly the driver's version",
    ),
    803: (
        "the driver's libraries are of another version than its loaded module",
        "restart the machine, then run again",
    ),
}
# What another driver mends.
OF_AGE = (35, 222, 803)
OF_WINDOWS = "update NVIDIA's driver in Windows, run wsl --shutdown there, then run again"
TIMED_OUT = (124, 137)


def of_compiling(done: Done, version: str, asked: Any, arch: Sequence[str]) -> TargetError:
    """Why compiling failed."""
    compiler = asked.compiler or "g++"
    names = {"release": asked.release, "compiler": compiler, "package": compiler.rpartition("/")[2]}
    if done.rc in TIMED_OUT:
        return TargetError(
            f"nvcc {version} did not end within minutes", "look for a disk or memory that fails: dmesg"
        )
    found = _first(COMPILING, done.lines, names)
    if found is not None:
        return found
    return TargetError(
        f"nvcc {version} could not compile a small program{' for ' + ' '.join(arch) if arch else ''}: "
        f"{last_words(done.lines)}",
        "install the toolkit's packages again, then run again",
    )


def of_starting(done: Done, size: str) -> TargetError:
    """Why what was compiled said nothing."""
    if done.rc in TIMED_OUT:
        return TargetError(
            "a program that uses CUDA hangs", "look at dmesg for what the driver says (Xid), and restart"
        )
    found = _first(STARTING, done.lines, {})
    if found is not None:
        return found
    return TargetError(
        f"the program that nvcc made ({size}) ended with {done.rc}: {last_words(done.lines)}",
        "look at dmesg, then run again",
    )


def of_running(rc: int, said: Dict[str, str], here: bool, release: str, windows: bool = False) -> TargetError:
    """Why what it said is no proof. In WSL the driver is Windows' own (`windows`)."""
    # There only interactive shells have its folder on PATH.
    smi = SMI if windows else "nvidia-smi"
    if rc in TIMED_OUT:
        return TargetError(
            "a program that uses CUDA hangs", "look at dmesg for what the driver says (Xid), and restart"
        )
    if said.get("wrong", "0") != "0":
        return TargetError(
            f"the GPU computes wrongly: {said['wrong']} of its results are not right",
            f"run {smi} -q and look for ECC errors, then replace the card",
        )
    code, name = int(said.get("error", "0")), said.get("name", "nothing")
    if code in RUNNING and here:
        what, hint = RUNNING[code]
        hint = OF_WINDOWS if windows and code in OF_AGE else hint.format(smi=smi)
        return TargetError(f"{what.format(release=release)} ({name})", hint)
    told = f"{name} ({code}) while {said['where']}" if "where" in said else f"an exit status of {rc}"
    place = "a GPU is here, and" if here else "no GPU is in use here, and instead of saying so"
    return TargetError(
        f"{place} a program of CUDA {release} ends with {told}",
        f"run {smi}, and look at dmesg for what the driver says (Xid)",
    )


def of_the_disk(error: OSError, folder: str) -> TargetError:
    """Why nothing could be written."""
    if error.errno == errno.ENOSPC:
        return TargetError(
            f"{folder}: the disk is full: there is no room to compile a small program",
            "free some space there, then run again",
        )
    return os_refusal(error, folder)


def _first(known: Sequence[Known], lines: List[str], names: Dict[str, str]) -> Optional[TargetError]:
    text = "\n".join(lines)
    for one in known:
        match = one.words.search(text)
        if match is not None:
            words = {**names, **{key: value for key, value in match.groupdict().items() if value}}
            return TargetError(one.what.format(**words), one.hint.format(**words))
    return None
