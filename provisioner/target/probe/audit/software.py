"""The section software: what is installed and running that a driver, a kernel or a model will meet."""

from __future__ import annotations

from typing import Any, Dict

from ..box import Box
from . import kernels, packages
from .sight import Sight


def software(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.software`."""
    found = kernels.kernels(box, sight)
    if "software.packages" not in (sight.request.get("skip") or ()):
        database = packages.packages(box)
        found["held"] = packages.held(database)
        found["half_configured"] = packages.half_configured(database)
    return found
