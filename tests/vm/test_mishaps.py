"""Power that goes in the middle of an install, and a line that does not start: one machine, in this order."""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.engine.reboot import Restarts
from provisioner.hosts import bundle
from provisioner.hosts.errors import Refused
from provisioner.preflight import command_line
from provisioner.report.result import Status

from . import command, driving, packages, restarting
from .changing import Run, change
from .driving import line, version, wants
from .packages import GOOD, MODULES_PACKAGE
from .restarting import Restarting

STATE = "/var/lib/provisioner"
ASK_SECONDS = 600.0  # GRUB's menu takes seconds on a free core
# Longer than it takes to see that it has begun, on a host that others use too.
SLOW = 60
NEVER = Restarts(elsewhere=False)
pytestmark = pytest.mark.timeout(driving.SECONDS)


@pytest.fixture(scope="module")
def box(vm_ready: None) -> Iterator[Restarting]:
    with restarting.up(restarting.free_name("mishaps")) as found:
        found.prepare()
        yield found


def apply(box: Restarting, **asked: Any) -> dict[str, Any]:
    """What the role kernel_options asks of the machine."""
    names = {"known": command_line.known(), "astray": command_line.astray()}
    payload = bundle.payload("system.kernel_options", {"do": "apply", "state": STATE, **names, **asked})
    there = shlex.join(["python3", "-I", "-c", bundle.loader()])
    command = ["ssh", "-F", str(box.machine.ssh_config), "-o", "BatchMode=yes", box.machine.name, there]
    done = subprocess.run(command, input=payload, capture_output=True, timeout=ASK_SECONDS, check=False)
    return bundle.parse_answer(done.stdout)


def test_an_install_whose_power_was_cut_is_ended_by_the_next_run(box: Restarting, tmp_path: Path) -> None:
    with packages.served(tmp_path) as port:
        driving.offer(box, tmp_path, port, GOOD, slow=SLOW)
        ended: list[Run] = []
        running = threading.Thread(target=lambda: ended.append(change(box, wants(), NEVER)), daemon=True)
        running.start()
        asked, until = f"dpkg-query -W -f '${{Status}}' {MODULES_PACKAGE}", time.monotonic() + 900
        while "half-configured" not in box.sh(asked, check=False):
            assert time.monotonic() < until, "the install never came to its middle"
            time.sleep(3)
        box.cut()
        box.start()
        running.join(300)
        assert ended, "a run whose machine is gone ends"
        assert "half-configured" in box.sh(asked)
        driving.offer(box, tmp_path, port, GOOD)
        assert change(box, wants(), NEVER).expect(Status.REBOOT).result.restart
    assert box.sh("dpkg --audit") == ""
    again = change(box, wants(), NEVER).expect(Status.REBOOT)
    assert again.roles() == [], "nothing is done twice before the restart"


def test_a_line_that_does_not_start_falls_back_by_itself(box: Restarting) -> None:
    # The first file system stops there, and restarts: a trial has panic=30.
    apply(box, boot=["break=top"])
    box.restart()
    assert line(box) == f"ro {command.OPTIONS} quiet"
    with pytest.raises(Refused, match="did not come back with break=top"):
        apply(box, boot=["break=top"])
    assert box.sh("find /etc -name '*provisioner*' -not -name '*nvidia*'") == ""
    assert apply(box)["changed"] is False
    # It was a restart all the same: the driver waited for one.
    change(box, wants(), NEVER).expect(Status.DONE)
    assert version(box) == GOOD
