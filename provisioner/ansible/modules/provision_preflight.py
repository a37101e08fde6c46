"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_preflight
short_description: Says what a box really is and fails when something there blocks
description:
  - Reads firmware, slots, memory, disks, driver and packages of the box; changes nothing.
author: the provision authors
options:
  purpose:
    description: What the box is for, which decides how much a finding weighs. Inferred when left out.
    type: str
    choices: [bare-metal, multi-gpu, vfio-host, guest, wsl2, container]
  ignore:
    description: Ids of checks that may not block.
    type: list
    elements: str
  strict:
    description: Fail on warnings too.
    type: bool
    default: false
  network:
    description: Whether the box asks its mirrors for an answer.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Nothing stands in the way
  provision_preflight:
    purpose: multi-gpu
"""

RETURN = r"""
findings:
  description: What each check says, worst first, as in docs/json.md; when it fails, what it fails on.
  type: list
  returned: always
purpose:
  description: What the box was taken for.
  type: str
  returned: always
because:
  description: By what that was recognised.
  type: str
  returned: always
"""
