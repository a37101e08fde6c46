"""Nothing of Ansible may outlive the controller that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A controller that starts a process as ansible-runner does, which forks as Ansible does: it tells the three.
CONTROLLER = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], start_new_session=True, stdout=subprocess.PIPE, text=True
)
print(child.pid, child.stdout.readline(), flush=True, end="")
time.sleep(60)
"""
ANSIBLE = """
import os, time
from provisioner.engine.playbook import bind_children, die_with
die_with(os.getppid())
bind_children()
worker = os.fork()
if worker == 0 and os.fork() == 0:
    print(os.getppid(), os.getpid(), flush=True)
time.sleep(60)
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel knows such a wish")


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_ansible_forks_dies_with_the_controller() -> None:
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, ANSIBLE], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert controller.stdout
    family = [int(word) for word in controller.stdout.readline().split()]
    assert len(family) == 3
    assert all(map(running, family))
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    controller.stdout.close()
    deadline = time.monotonic() + 60
    while any(map(running, family)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [pid for pid in family if running(pid)] == []


LATE = """
import os, time
from provisioner.engine import playbook
playbook.bind_children()
wish = playbook.die_with
def late(parent):
    print(os.getpid(), flush=True)
    while os.getppid() == parent:
        time.sleep(0.01)
    wish(parent)
playbook.die_with = late
os.fork()
time.sleep(60)
"""


def test_a_parent_that_dies_before_the_wish_is_made_takes_its_child_along() -> None:
    parent = subprocess.Popen([sys.executable, "-c", LATE], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(child)
