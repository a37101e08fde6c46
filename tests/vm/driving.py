"""What tests of the stand-in driver share: what is asked for, where apt gets it, and what is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provisioner.compat import Plan, Settings, make_plan
from tests.unit.compat.test_plan import GPU_24
from tests.unit.compat.test_plan import facts as some_facts

from . import packages
from .packages import GOOD
from .restarting import Restarting

DEBIAN_13 = {"id": "debian", "version_id": "13", "pretty": "Debian GNU/Linux 13"}
OF_THE_DRIVER = {"nouveau", "nvidia", "nvidia_uvm"}
# Emulated, on a host that others use too: a machine is looked at in seconds, and changed in minutes.
SECONDS = 2400


def wants(version: str = GOOD) -> dict[str, dict[str, Any]]:
    """The driver's role as the plan has it for this system and a card as the stand-in's; `version` may be
    one that the plan does not know.
    """
    python = {"version": "3.13.5", "executable": "/usr/bin/python3"}
    plan = make_plan(some_facts(os=DEBIAN_13, python=python, gpus=[GPU_24]), Settings())
    assert isinstance(plan, Plan), plan
    chosen = plan.roles["nvidia_driver"]
    assert chosen["nvidia_driver_version"] == GOOD
    return {"nvidia_driver": {**chosen, "nvidia_driver_version": version}}


def offer(box: Restarting, root: Path, port: int, *versions: str, slow: int = 0) -> None:
    """Have apt there take its packages from an archive below `root` with these versions of the driver."""
    name = "-".join([*versions, str(slow)])
    if not (root / name).exists():
        wanted = {one: packages.driver(box.made.built, box.made.release, one, slow) for one in versions}
        packages.archive(root / name, wanted)
    source = f"s,^URIs: .*,URIs: http://{packages.HOST}:{port}/{name}/debian,"
    box.sh(f"sed -i '{source}' /etc/apt/sources.list.d/debian.sources; apt-get update -q")


def loaded(box: Restarting) -> set[str]:
    """Which of the modules that matter here are loaded."""
    return set(box.sh("cut -d' ' -f1 /proc/modules").split()) & OF_THE_DRIVER


def version(box: Restarting) -> str:
    """Of the driver that is loaded."""
    return box.sh("cat /sys/module/nvidia/version")


def line(box: Restarting) -> str:
    """The line that the kernel was started with, without what says where it is."""
    words = box.sh("cat /proc/cmdline").split()
    return " ".join(word for word in words if not word.startswith(("BOOT_IMAGE=", "root=")))
