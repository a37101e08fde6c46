"""Has one of several versions be what a path leads to."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError

NEEDED = ("name", "link", "path")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({*NEEDED, "priority"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        for name in NEEDED:
            if not args.get(name):
                raise ProvisionError(f"{name} is not given", hint=f"needed are {', '.join(NEEDED)}")
        request = {name: str(args[name]) for name in NEEDED}
        priority = int(args.get("priority") or 0)
        return self.ask(
            "system.alternatives", {**request, "priority": priority, "check": self.checking}, task_vars
        )
