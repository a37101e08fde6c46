"""Writes a role's receipt on the box: what was there before, and what the role left."""

from __future__ import annotations

from typing import Any

from provisioner import __version__
from provisioner.ansible.digest import role_digest
from provisioner.ansible.target import TargetAction, plain
from provisioner.errors import ProvisionError

DOCUMENTATION = r"""
name: provision_receipt
short_description: Writes the receipt of the role it is called from
description:
  - C(begin), a role's first task, notes what everything the role may touch was before.
  - C(done), its last, looks at each resource again and stores what it sees, with the digests of the role
    and its public variables, in C(receipts/<role>.json) below C(provision_state_dir).
  - The role's name, digest and variables are found from the role itself and its argument specification.
author: the provision authors
options:
  phase:
    description:
      - Which end of the role this is.
      - C(look), between them, changes nothing and returns C(holds): whether this role wrote the receipt on
        the box with these variables and every resource is still as it says; and its C(result).
    type: str
    choices: [begin, look, done]
    required: true
  resources:
    description: The resources that the role is responsible for, as docs/architecture.md lists them.
    type: list
    elements: dict
    required: true
  result:
    description: What the role wants remembered.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Note what was there
  provision_receipt:
    phase: begin
    resources: "{{ _python_env_resources }}"
"""

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
