"""What will be on a box and by which route, or the shortest reason why not."""

from provisioner.compat.plan import Plan, WhyNot, make_plan
from provisioner.compat.request import Settings

__all__ = ["Plan", "Settings", "WhyNot", "make_plan"]
