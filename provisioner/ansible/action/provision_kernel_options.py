"""Has the kernel and its modules told what the role's variables say."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction, plain
from provisioner.errors import ProvisionError
from provisioner.preflight import command_line

DO = ("look", "apply")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"do", "modprobe", "boot", "blacklist"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if args.get("do") not in DO:
            raise ProvisionError(f"do: {args.get('do')} is unknown", hint=f"one of {', '.join(DO)}")
        given: dict[str, Any] = {
            name: plain(args[name]) for name in ("modprobe", "boot", "blacklist") if name in args
        }
        value = self.ask(
            "system.kernel_options",
            {
                "do": args["do"],
                **given,
                "known": command_line.known(),
                "astray": command_line.astray(),
                "state": self.place(task_vars),
                "check": self.checking,
            },
            task_vars,
        )
        return {**value, "msg": "; ".join(value["said"]) or "nothing to do"}
