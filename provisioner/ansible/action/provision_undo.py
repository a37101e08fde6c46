"""Takes off what roles have put on the box, and puts back what was there before."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction, plain
from provisioner.errors import ProvisionError

TO = ("prior", "before")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"role", "roles", "to", "keep"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        to = args.get("to", "prior")
        if to not in TO:
            raise ProvisionError(f"to: {to} is no way back", hint=f"one of {', '.join(TO)}")
        roles = plain(args.get("roles") or [])
        if args.get("role"):
            roles = [*roles, str(args["role"])]
        if to == "before" and not roles:
            raise ProvisionError(
                "to: before goes back in one role's change", hint="say which with role: NAME"
            )
        request = {
            "roles": roles,
            "to": to,
            "keep": plain(args.get("keep") or []),
            "state": self.place(task_vars),
            "check": self.checking,
        }
        value = self.ask("system.undo", request, task_vars)
        if value["refused"]:
            raise ProvisionError("; ".join(value["refused"]), hint="nothing was taken off")
        return value
