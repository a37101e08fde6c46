"""What will be on a box and by which route, or the shortest reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the data below this package is read by verbs that need no planner, which takes 0.1 s
    from provisioner.compat.plan import Plan, WhyNot, make_plan
    from provisioner.compat.request import Settings

__all__ = ["Plan", "Settings", "WhyNot", "make_plan"]


def __getattr__(name: str) -> Any:
    """Import the planner when it is first asked for."""
    if name == "Settings":
        from provisioner.compat import request

        return request.Settings
    if name in __all__:
        from provisioner.compat import plan

        return getattr(plan, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
