"""Which package manager this system has."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from ...errors import TargetError
from ...probe import dpkg
from .apt import Apt
from .base import Manager
from .dnf import Dnf

APT = "/usr/bin/apt-get"
DNF = "/usr/bin/dnf"


def manager(lock_timeout: int = 600, network: Optional[Mapping[str, Any]] = None) -> Manager:
    """The one of this system. Raises TargetError on a system that has none that is known."""
    found = known(lock_timeout, network)
    if found is None:
        raise TargetError(
            "this system has neither apt nor dnf, and packages cannot be installed on it",
            "install them with its own package manager, and run again",
        )
    return found


def known(lock_timeout: int = 600, network: Optional[Mapping[str, Any]] = None) -> Optional[Manager]:
    """The same; None on a system that has none."""
    if os.path.isfile(APT) and os.path.isfile(dpkg.STATUS):
        return Apt(lock_timeout, network)
    if os.path.isfile(DNF):
        return Dnf(lock_timeout, network)
    return None
