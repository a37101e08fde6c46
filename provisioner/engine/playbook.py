"""ansible-playbook that never outlives the `provision` that started it.

ansible-runner starts this in its own session with hang-ups ignored, so a killed controller would leave
Ansible changing boxes behind the back of the next run. The kernel ends us instead when our parent dies.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when this parent dies (Linux; elsewhere a closed terminal does it)."""
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:
            raise SystemExit("the controller ended before Ansible could start")


def bind_children() -> None:
    """Have what this process forks die with it too: the kernel forgets that wish at each fork.

    Ansible's workers are such forks, and one that waits for a long job would wait on for nobody.
    """
    forking = [os.getpid()]

    def in_child() -> None:
        parent, forking[0] = forking[0], os.getpid()
        try:
            die_with(parent)
        except SystemExit:
            # Python ignores what is raised here, and the parent was killed before the kernel knew our wish.
            os._exit(1)

    os.register_at_fork(after_in_child=in_child)


def main() -> None:
    """Drop what ansible-runner wrote of our environment (it may hold a hub token), then be Ansible."""
    die_with(os.getppid())
    bind_children()
    Path(os.environ["PROVISION_ARTIFACTS"], "command").unlink(missing_ok=True)
    from ansible.cli.playbook import main as ansible_main

    sys.argv[0] = "ansible-playbook"
    ansible_main(sys.argv)


if __name__ == "__main__":
    main()
