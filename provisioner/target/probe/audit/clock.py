"""The section clock: what time this machine believes it is, and whether anybody keeps it right."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any, Dict

from ..box import MISSING, Box, reason
from . import readings
from .readings import Reading
from .sight import Sight

# All of these were written by a clock that was right enough to fetch packages; os-release comes with the
# system itself.
DATABASES = (
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages",
    "/lib/apk/db/installed",
    "/var/lib/pacman/local",
    "/etc/os-release",
    "/usr/lib/os-release",
)
CHIP = "/sys/class/rtc/rtc0/since_epoch"
RECORDED = "a recorded tree has no clock"
# <sys/timex.h>: the status bit that says nobody keeps the clock right.
STA_UNSYNC = 0x40


class Timex(ctypes.Structure):
    """The head of struct timex of <sys/timex.h>; what follows is only room for the kernel to write to."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.clock`."""
    if not box.live:
        nothing = readings.hidden(RECORDED)
        return {"now": nothing, "synchronized": nothing, "newest_package": nothing, "controller": nothing}
    return {
        "controller": of_windows(box) if sight.wsl and asks_itself(sight) else controller(sight),
        "now": readings.read(time.time(), "time()"),
        "synchronized": synchronized(),
        "newest_package": newest_package(box),
    }


def controller(sight: Sight) -> Reading:
    """The clock of who asked; of the same kernel it is this one, and tells nothing."""
    asked = sight.request.get("now")
    if asked is None:
        return readings.hidden("who asked did not say what time it was there")
    if asks_itself(sight):
        return readings.absent("who asked has the same clock", "the request")
    return readings.read(asked, "the request")


def asks_itself(sight: Sight) -> bool:
    """Whether who asked runs on the same kernel."""
    boot = sight.request.get("boot")
    return bool(boot) and boot == sight.facts["os"].get("boot")


def of_windows(box: Box) -> Reading:
    """The clock chip that Windows shows to WSL, in whole seconds: it goes on while the machine sleeps, which
    WSL may not notice. Outside WSL such a chip may keep the time of a zone.
    """
    try:
        text = box.text(CHIP).strip()
    except OSError as failure:
        return readings.hidden(reason(failure, CHIP), CHIP)
    if not text.isdigit():
        return readings.error("it says %.40r, and no time" % text, CHIP)
    return readings.read(float(text), CHIP)


def synchronized(library: Any = None) -> Reading:
    """What the kernel says; `library` stands in for the C library."""
    found = Timex()  # modes 0 asks, and sets nothing
    try:
        library = library or ctypes.CDLL(None, use_errno=True)
        state = library.adjtimex(ctypes.byref(found))
    except (OSError, AttributeError) as failure:
        return readings.hidden("this C library cannot be asked: %s" % failure, "adjtimex()")
    if state < 0:
        return readings.hidden(os.strerror(ctypes.get_errno()), "adjtimex()")
    return readings.read(not found.status & STA_UNSYNC, "adjtimex()")


def newest_package(box: Box) -> Reading:
    """The last change of a package database, else of the system's own name, in seconds since 1970."""
    newest, source, refused = None, "", None
    for path in DATABASES:
        try:
            changed = os.stat(box.path(path)).st_mtime
        except OSError as failure:
            if failure.errno not in MISSING:
                refused = readings.hidden(reason(failure, path), path)
            continue
        if newest is None or changed > newest:
            newest, source = changed, path
    if newest is None:
        return refused or readings.absent("no package database is known here", DATABASES[0])
    return readings.read(newest, source)
