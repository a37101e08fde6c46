"""The lab: named fresh Debian machines in containers that boot like machines, in seconds.

python -m tests.lab --help, or from Python:

    from tests import lab

    with lab.up("gpu-box", release="bookworm", without=("python3",)) as machine:
        machine.ssh("uname", "-a")
"""

from .lifecycle import down, get, machines, ssh_config, up
from .machine import Machine
from .process import CommandError, LabError
from .trust import extra_ca_certificates, wheel_folder
from .users import User

__all__ = [
    "CommandError",
    "LabError",
    "Machine",
    "User",
    "down",
    "extra_ca_certificates",
    "get",
    "machines",
    "ssh_config",
    "up",
    "wheel_folder",
]
