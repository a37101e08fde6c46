"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_state
short_description: Asserts what a role's state.yml says of a finished box
description:
  - Fails and names every assertion that does not hold or cannot be judged.
author: the provision authors
options:
  role:
    description: The role; the one it is called from when left out.
    type: str
  deep:
    description: Also what takes long, such as reading all weights again; says what is wrong with them.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The environment is as it should be
  provision_state:
    role: python_env
"""
