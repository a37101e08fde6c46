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


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies (Linux; elsewhere a closed terminal does it)."""
    if sys.platform == "linux":
        parent = os.getppid()
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:
            raise SystemExit("the controller ended before Ansible could start")


def main() -> None:
    """Drop what ansible-runner wrote of our environment (it may hold a hub token), then be Ansible."""
    die_with_parent()
    Path(os.environ["PROVISION_ARTIFACTS"], "command").unlink(missing_ok=True)
    from ansible.cli.playbook import main as ansible_main

    sys.argv[0] = "ansible-playbook"
    ansible_main(sys.argv)


if __name__ == "__main__":
    main()
