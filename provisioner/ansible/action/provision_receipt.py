"""Writes a role's receipt on the box: what was there before, and what the role left."""

from __future__ import annotations

from typing import Any

from provisioner import __version__
from provisioner.ansible.digest import role_digest
from provisioner.ansible.target import TargetAction
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
    description: Which end of the role this is.
    type: str
    choices: [begin, done]
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


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"phase", "resources", "result"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        phase = args.get("phase")
        if phase not in {"begin", "done"}:
            raise ProvisionError(f"phase: {phase} is not a phase", hint="begin or done")
        role = self.role_dir(None, task_vars)
        value = self.ask(
            "probe.receipt",
            {
                "phase": phase,
                "role": role.name,
                "role_digest": role_digest(role),
                "inputs": self.inputs(role, task_vars),
                "resources": args.get("resources") or [],
                "result": args.get("result") or {},
                "dir": f"{self.place(task_vars)}/receipts",
                "check": self.checking,
                "run": self.run_id(task_vars),
                "tool": __version__,
            },
            task_vars,
        )
        # A note of what was there changes nothing that the user asked for.
        changed = bool(value["changed"]) and phase == "done"
        return {"changed": changed, "receipt": value.get("receipt")}
