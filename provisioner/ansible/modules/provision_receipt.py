"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_receipt
short_description: Writes the receipt of the role it is called from
description:
  - The phase C(begin), a role's first task, notes what everything the role may touch was before.
  - The phase C(done), its last, looks at each resource again and stores what it sees, with the digest
    of the role and its public variables, in C(receipts/<role>.json) below C(provision_state_dir).
  - The role's name, digest and variables are found from the role itself and its argument specification.
author: the provision authors
options:
  phase:
    description:
      - Which end of the role this is.
      - The phase C(look), between them, changes nothing. It returns C(holds), whether this role wrote the
        receipt on the box with these variables and every resource is still as it says, and its C(result).
      - The phase C(reboot) ends a role that can go on only after a restart of the machine. The role stays
        unfinished, the fact C(provision_reboot) has it and its reason, and whoever runs the role restarts the
        machine and runs it again.
    type: str
    choices: [begin, look, reboot, done]
    required: true
  resources:
    description: The resources that the role is responsible for, as docs/architecture.md lists them.
    type: list
    elements: dict
    default: []
  why:
    description: Why the machine is to be restarted, in a clause; only with C(reboot).
    type: str
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
