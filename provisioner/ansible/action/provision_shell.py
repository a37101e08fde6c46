"""Runs a POSIX shell script on a box that may have no Python."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError

DOCUMENTATION = r"""
name: provision_shell
short_description: Runs a POSIX shell script where there may be no Python
description:
  - The script goes down standard input, so nothing in it shows in a list of processes.
  - It says what it found on lines C(provision.KEY=VALUE). C(changed) lists what it changed, or would change;
    C(refused) is why it cannot go on; every other key comes back as a list of words.
author: the provision authors
options:
  script:
    description: The script. What it starts must not read standard input.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Look for Python
  provision_shell:
    script: "{{ lookup('ansible.builtin.template', 'bare.sh.j2') }}"
"""

MARK = "provision."


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"script"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        ran = self._low_level_execute_command("/bin/sh -s", in_data=str(args["script"]).encode())
        return heard(int(ran["rc"]), ran["stdout"], ran["stderr"])


def heard(rc: int, stdout: str, stderr: str) -> dict[str, Any]:
    """The task's result, from what the script said. Raises ProvisionError for a refusal or a failure."""
    said: dict[str, str] = {}
    for line in stdout.splitlines():
        key, found, value = line.removeprefix(MARK).partition("=")
        if line.startswith(MARK) and found:
            said[key] = value.strip()
    if "refused" in said:
        raise ProvisionError(said["refused"])
    if rc != 0:
        last = (stderr.strip() or stdout.strip() or "it said nothing").splitlines()[-1]
        raise ProvisionError(f"the first script on the box ended with {rc}: {last}")
    changed = said.pop("changed", "")
    words = {key: value.split() for key, value in said.items()}
    return {"changed": bool(changed), "msg": changed or "nothing to do", "said": words}
