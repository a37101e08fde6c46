"""What will be on a box and by which route, or the shortest reason why not."""

from provisioner.compat.plan import Plan, Settings, WhyNot, make_plan

__all__ = ["Plan", "Settings", "WhyNot", "make_plan"]
