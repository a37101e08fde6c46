"""Runs a POSIX shell script on a box that may have no Python."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError

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
