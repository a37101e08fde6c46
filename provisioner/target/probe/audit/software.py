"""The section software: what is installed and running that a driver, a kernel or a model will meet."""

from __future__ import annotations

from typing import Any, Dict

from ..box import Box
from . import drivers, gpu_users, kernels, modules, packages, unattended
from .sight import Sight


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.software`."""
    found = kernels.kernels(box, sight)
    releases = [kernel["release"] for kernel in found["kernels"]["value"] or ()]
    found.update(modules.modules(box, sight, releases))
    found["library_driver"] = drivers.library(box, sight)
    found["gpu_processes"] = gpu_users.gpu_processes(box, sight)
    if "software.packages" not in (sight.request.get("skip") or ()):
        database = packages.packages(box)
        found["held"] = packages.held(database)
        found["half_configured"] = packages.half_configured(database)
        found["driver_sources"] = drivers.sources(box, sight, database)
        found["unattended"] = unattended.unattended(box, sight, database)
    return found
