"""Reads the box: hardware, system, receipts, and every resource they name."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"receipts"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        folders = args.get("receipts") or [self.receipts(task_vars)]
        facts = self.ask("probe", {"receipts": folders, "root": "/"}, task_vars)
        return {"changed": False, "facts": facts, "drifted": drifted(facts)}


def drifted(facts: dict[str, Any]) -> list[str]:
    """Ids that differ from the receipt's value, and `<role>.receipt` for a receipt that cannot be read."""
    found: list[str] = []
    for receipt in facts["receipts"]:
        body = receipt["body"]
        if body is None:
            found.append(f"{receipt['role']}.receipt")
            continue
        found += [i["id"] for i in body["resources"] if receipt["observed"].get(i["id"]) != i["value"]]
    return found
