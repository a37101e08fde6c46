"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_probe
short_description: Reads the facts of a box and what has drifted from its receipts
description: One connection, one process, nothing left behind.
author: the provision authors
options:
  receipts:
    description: Folders to look for receipts in; C(receipts/) below C(provision_state_dir) when left out.
    type: list
    elements: path
"""

EXAMPLES = r"""
- name: Look at the box
  provision_probe:
  register: box
"""

RETURN = r"""
facts:
  description: Facts, schema 1.
  type: dict
  returned: always
drifted:
  description: Ids of resources that are not as their receipt says.
  type: list
  returned: always
"""
