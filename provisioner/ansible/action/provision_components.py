"""Switches on parts of Debian's archive."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction, plain


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"components"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        components = [str(one) for one in plain(args.get("components") or ["contrib", "non-free"])]
        role = self.role_dir(None, task_vars).name
        return self.ask(
            "system.components",
            {"name": role.replace("_", "-"), "components": components, "check": self.checking},
            task_vars,
        )
