"""Proves a CUDA toolkit: a program is compiled, linked and run on the box."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"release", "home", "compiler", "shared"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if not args.get("release"):
            raise ProvisionError("release: no release to prove", hint="give one, such as 12.4")
        request = {
            "release": str(args["release"]),
            "home": str(args.get("home") or ""),
            "compiler": str(args.get("compiler") or ""),
            "shared": str(args.get("shared", True)).lower() in {"true", "yes", "1"},
            "folder": self.place(task_vars),
            "check": self.checking,
        }
        value = self.ask("system.nvcc", request, task_vars)
        return {"changed": False, "result": {key: value[key] for key in value if key != "changed"}}
