"""Looks at the driver of a box, loads it, proves that it works, or learns why it does not."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction, plain
from provisioner.errors import ProvisionError
from provisioner.preflight.request import certificates

ROLE = "nvidia_driver"
DOINGS = ("look", "fabric", "key", "load", "check", "why", "again")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"do", "own", "installed", "loaded", "said"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        do = args.get("do")
        if do not in DOINGS:
            raise ProvisionError(
                f"do: {do} is nothing to do about a driver", hint=f"one of {', '.join(DOINGS)}"
            )
        inputs = self.inputs(self.role_dir(ROLE, task_vars), task_vars)
        value = self.ask(
            "system.driver",
            {
                "do": do,
                "wants": {name.removeprefix(f"{ROLE}_"): value for name, value in inputs.items()},
                "own": plain(args.get("own") or {}),
                "install": str(args.get("installed", False)).lower() in {"true", "yes", "1"},
                "loaded": str(args.get("loaded") or ""),
                "said": str(args.get("said") or ""),
                "certificates": certificates(),
                "state": self.place(task_vars),
                "check": self.checking,
            },
            task_vars,
        )
        return dict(value)
