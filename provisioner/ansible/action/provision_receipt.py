"""Writes a role's receipt on the box: what was there before, and what the role left."""

from __future__ import annotations

from typing import Any

from provisioner import __version__
from provisioner.ansible.digest import role_digest
from provisioner.ansible.target import TargetAction, plain
from provisioner.errors import ProvisionError

PHASES = ("begin", "look", "done")
#: What of a resource in a receipt was observed; the rest is how the role names it.
SEEN = ("value", "prior")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"phase", "resources", "result"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        phase = args.get("phase")
        if phase not in PHASES:
            raise ProvisionError(f"phase: {phase} is not a phase", hint=f"one of {', '.join(PHASES)}")
        role = self.role_dir(None, task_vars)
        resources = plain(args.get("resources") or [])
        if phase == "look":
            facts = self.ask("probe", {"receipts": [self.receipts(task_vars)], "root": "/"}, task_vars)
            held = holds(facts, role.name, role_digest(role), self.inputs(role, task_vars), resources)
            return {"changed": False, "holds": held is not None, "result": held or {}}
        value = self.ask(
            "probe.receipt",
            {
                "phase": phase,
                "role": role.name,
                "role_digest": role_digest(role),
                "inputs": self.inputs(role, task_vars),
                "resources": resources,
                "result": args.get("result") or {},
                "dir": self.receipts(task_vars),
                "check": self.checking,
                "run": self.run_id(task_vars),
                "tool": __version__,
                "request": self.asked_for(task_vars),
            },
            task_vars,
        )
        # A note of what was there changes nothing that the user asked for.
        changed = bool(value["changed"]) and phase == "done"
        return {"changed": changed, "receipt": value.get("receipt")}


def holds(
    facts: dict[str, Any], role: str, digest: str, inputs: dict[str, Any], resources: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """The result in the role's receipt while all that it stands on is as it was, else None."""
    for found in facts["receipts"]:
        body = found["body"]
        if found["role"] != role or body is None:
            continue
        same = body["role_digest"] == digest and body["inputs"] == inputs
        values = {item["id"]: item["value"] for item in body["resources"]}
        seen = {item["id"]: found["observed"].get(item["id"]) for item in resources}
        moved = [i for i in body["resources"] if {k: i[k] for k in i if k not in SEEN} not in resources]
        return (body["result"] or {}) if same and values == seen and not moved else None
    return None
