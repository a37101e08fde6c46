"""Takes note of a box's packages before a role installs some by a way of its own, and settles afterwards."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError

DOES = ("note", "settle")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"do", "packages"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if args.get("do") not in DOES:
            raise ProvisionError(
                f"do: {args.get('do')} is nothing that packages know", hint=f"one of {', '.join(DOES)}"
            )
        packages = args.get("packages") or []
        if args["do"] == "note" and not packages:
            raise ProvisionError("do: note without packages", hint="name those that will be installed")
        request = {
            "do": args["do"],
            "packages": packages,
            "role": self.role_dir(None, task_vars).name,
            "state": self.place(task_vars),
            "check": self.checking,
        }
        return self.ask("system.packages", request, task_vars)
