"""What logs of dkms say; where its words come from stands beside each text."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.system.driver_dkms import Cause, Failed, cause, failures, said_by_dkms, sentence

from .boxes import FakeBox

GPL = "take a newer branch, the open modules (nvidia_driver_modules=open), or another kernel"
OLDER = "take a newer branch (nvidia_driver_branch) or start an older kernel"


HEADERS = "install them (nvidia_driver_headers names packages), then run again"
GCC = "install the gcc that the kernel was built with, then run again"

# A log, which of its lines decides, why the build failed, and what to do.
CASES = {
    # piraeusdatastore/piraeus-operator issue 594: Ubuntu 22.04 with its 6.5 HWE kernel
    "jammy's newer kernel without gcc-12": (
        """  CC [M]  /tmp/pkg/drbd/drbd_dax_pmem.o
/bin/bash: line 1: gcc-12: command not found
make[3]: *** [scripts/Makefile.build:251: /tmp/pkg/drbd/drbd_dax_pmem.o] Error 127""",
        1, "the compiler of the kernel, gcc-12, is not installed", "install gcc-12, then run again",
    ),
    # NVIDIA/yum-packaging-dkms-nvidia issue 5
    "open modules want g++": (
        """ [ nvidia-modeset    ]  CXX          ../common/displayport/src/dp_auxretry.cpp
/bin/sh: line 1: g++: command not found
make[1]: *** [Makefile:219: dp_auxretry.o] Error 127""",
        1, "the compiler of the kernel, g++, is not installed", "install g++, then run again",
    ),
    # mesosphere/konvoy-image-builder pull request 1200; what stands above is a warning only
    "symbol under the GPL": (
        """warning: the compiler differs from the one used to build the kernel
The kernel was built by: gcc (Ubuntu 9.4.0-1ubuntu1~20.04.2) 9.4.0
You are using: cc (Ubuntu 9.4.0-1ubuntu1~20.04.2) 9.4.0
ERROR: modpost: GPL-incompatible module nvidia.ko uses GPL-only symbol 'rcu_read_unlock_strict'
make[2]: *** [scripts/Makefile.modpost:133: Module.symvers] Error 1""",
        3, "the kernel gives rcu_read_unlock_strict to modules under the GPL only", GPL,
    ),
    # NVIDIA/open-gpu-kernel-modules issue 594
    "undeclared": (
        """nvidia-drm/nvidia-drm-drv.c:1513:40: error: ‘DRM_UNLOCKED’ undeclared here (not in a function)
 1513 |                       DRM_RENDER_ALLOW|DRM_UNLOCKED),""",
        0, "this driver was written for older kernels (‘DRM_UNLOCKED’ undeclared here (not in a function))",
        OLDER,
    ),
    # as gcc words it
    "implicit declaration": (
        "nv-mmap.c:42:9: error: implicit declaration of function 'vm_flags_set'",
        0, "this driver was written for older kernels (implicit declaration of function 'vm_flags_set')",
        OLDER,
    ),
    # /usr/sbin/dkms of dkms 3.0.10
    "no headers, by dkms": (
        "Error! Your kernel headers for kernel 6.1.0-99-amd64 cannot be found at /lib/modules/x/build",
        0, "the headers of kernel 6.1.0-99-amd64 are missing", HEADERS,
    ),
    # as make words it
    "no headers, by make": (
        "make[1]: *** /lib/modules/5.15.0-91-generic/build: No such file or directory.  Stop.",
        0, "the headers of kernel 5.15.0-91-generic are missing", HEADERS,
    ),
    # as gcc 11 words it
    "an older gcc": (
        "gcc: error: unrecognized command-line option ‘-ftrivial-auto-var-init=zero’",
        0, "the compiler does not know -ftrivial-auto-var-init=zero, which the kernel's build asks for", GCC,
    ),
    # make.log of driver 418.87.00 on Ubuntu 18.04, in a guide to installing it
    "NVIDIA's check of the compiler": (
        """Compiler version check failed:

The major and minor number of the compiler used to
compile the kernel:

gcc version 7.3.0 (Ubuntu 7.3.0-16ubuntu3)

does not match the compiler used here:

cc (Ubuntu 7.4.0-1ubuntu1~18.04) 7.4.0""",
        0, "the kernel was built with gcc 7.3.0, and gcc 7.4.0 is what is here",
        "install gcc-7, then run again",
    ),
    "full disk": (
        """cc1: error: /x: No such thing
/usr/bin/ld: final link failed: No space left on device""",
        1, "the disk is full", "free some space, then run again",
    ),
    "out of memory": (
        """gcc-14: fatal error: Killed signal terminated program cc1
compilation terminated.""",
        0, "memory ran out while it compiled", "give it more memory or swap, then run again",
    ),
    # conftest.sh of driver 550.163.01
    "a real-time kernel": (
        """NV_CONFTEST_CFLAGS=-O2 -Wno-error
The kernel you are installing for is a PREEMPT_RT kernel!

The NVIDIA driver does not support real-time kernels. If you
*** Failed PREEMPT_RT sanity check. Bailing out! ***""",
        1, "the kernel is a real-time one (PREEMPT_RT), which the driver does not support",
        "start another kernel and remove the headers of this one, then run again",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("log", "line", "why", "hint"), CASES.values(), ids=CASES)
def test_causes(log: str, line: int, why: str, hint: str) -> None:
    assert cause(log) == Cause(why, hint, [log.splitlines()[line].strip()])


def test_newer_branches_only_warn_of_another_compiler() -> None:
    log, *_ = CASES["NVIDIA's check of the compiler"]
    assert cause("Warning: " + log).why == "the modules could not be built"


def test_what_nobody_knows_is_shown() -> None:
    log = "DKMS make.log\nmake[1]: x\nnv.c:1: error: oddity\nmake: *** [modules] Error 2\nError 3\nError 4\n"
    lines = ["nv.c:1: error: oddity", "make: *** [modules] Error 2", "Error 3"]
    unknown = ("the modules could not be built", "the log says more")
    assert cause(log) == Cause(*unknown, lines)
    assert cause("") == Cause(*unknown, ["the log is empty"])


def test_a_line_of_options_is_no_error_and_no_line_is_endless() -> None:
    found = cause("CFLAGS=-Wno-error -Werror=undef\n" + "fatal " * 100 + "\n")
    assert found.lines == [("fatal " * 100)[:300]]


def test_builds_that_were_left(tmp_path: Path) -> None:
    tree = "/var/lib/dkms"
    box = FakeBox(
        tmp_path,
        {
            f"{tree}/nvidia-current/550.163.01/build/make.log": "DKMS (dkms-3.2.2) make.log for "
            "nvidia-current/550.163.01 for kernel 6.17.1-amd64 (amd64)\n"
            "nv.c:2: error: unknown type name 'x'\n",
            f"{tree}/nvidia/580.1/build/make.log": "",
            f"{tree}/zfs/2.3/build/make.log": "DKMS make.log for zfs-2.3 for kernel 6.17.1-amd64\nError\n",
        },
    ).host.box
    log = f"{tree}/nvidia-current/550.163.01/build/make.log"
    line = "nv.c:2: error: unknown type name 'x'"
    why = Cause("this driver was written for older kernels (unknown type name 'x')", OLDER, [line])
    failed = Failed("nvidia-current/550.163.01", "6.17.1-amd64", log, why)
    assert failures(box) == [failed]
    assert sentence(failed) == (
        f"dkms could not build nvidia-current/550.163.01 for kernel 6.17.1-amd64: {why.why} ({log}: {line})"
    )


def test_what_a_package_manager_passes_on() -> None:
    said = "Error! Bad return status for module build on kernel: 6.8.0-45-generic (x86_64)"
    assert said_by_dkms(said) is None
    assert said_by_dkms(said + "\nsh: 1: gcc-12: not found") == Cause(
        "the compiler of the kernel, gcc-12, is not installed",
        "install gcc-12, then run again",
        ["sh: 1: gcc-12: not found"],
    )
