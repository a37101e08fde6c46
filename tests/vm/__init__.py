"""Virtual machines with real firmware: one state of it each, booted in a quarter of a minute.

python -m tests.vm --help, or from Python:

    from tests import vm

    with vm.up("vt-d") as machine:
        machine.ssh("ls", "/sys/class/iommu")
"""

from .machine import VirtualMachine, down, get, machines, up
from .states import STATES, Flip, State, named

__all__ = ["STATES", "Flip", "State", "VirtualMachine", "down", "get", "machines", "named", "up"]
