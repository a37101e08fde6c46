"""Puts variables into /etc/environment."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction, plain


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"variables", "folders"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        variables = {name: str(value) for name, value in plain(args.get("variables") or {}).items()}
        folders = [str(folder) for folder in plain(args.get("folders") or [])]
        return self.ask(
            "system.environment",
            {"variables": variables, "folders": folders, "check": self.checking},
            task_vars,
        )
