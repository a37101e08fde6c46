"""Has the box make anew what is made out of other files, when those have changed."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction, plain


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"what", "inputs"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        value = self.ask(
            "system.refresh",
            {
                "what": args.get("what"),
                "inputs": plain(args.get("inputs") or []),
                "state": self.place(task_vars),
                "check": self.checking,
            },
            task_vars,
        )
        return {"changed": bool(value["changed"]), "msg": value["said"]}
