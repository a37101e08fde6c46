"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_packages
short_description: Remembers how a box's packages were before a role changed them
description:
  - For roles that install packages by a way of their own; the job C(packages) does the same by itself.
  - What a role has added, replaced or removed stands in the box's state, under C(saved/ROLE/packages.json).
  - In check mode nothing is written. It never counts as a change.
author: the provision authors
options:
  do:
    description: C(note) before the first package changes, C(settle) once the change has proved itself.
    type: str
    choices: [note, settle]
    required: true
  packages:
    description: With C(note), those that will be installed; what they bring along counts too, nothing else.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Note which packages were there before
  provision_packages:
    do: note
    packages: [chrony]

- name: Remember what was replaced
  provision_packages:
    do: settle
"""
