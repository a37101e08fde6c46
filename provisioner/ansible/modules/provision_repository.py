"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_repository
short_description: Puts NVIDIA's package repository among a box's
description:
  - Fetches the repository's key, checks its digest and fingerprint, has the package manager read the
    repository, and only then puts it among the sources. Nothing is installed. What to put there are the
    public variables of the role that the task belongs to.
  - A repository that somebody else has put there is used as it is, and not doubled.
author: the provision authors
options:
  do:
    description: C(set) it up, or C(look) what would be there.
    type: str
    choices: [look, set]
    required: true
  network:
    description: Path of network.json on the box.
    type: path
attributes:
  check_mode:
    support: full
    description: Nothing is fetched or changed.
"""

EXAMPLES = r"""
- name: Put NVIDIA's repository among the others
  provision_repository:
    do: set
"""

RETURN = r"""
files:
  description: Paths of the files that are ours.
  returned: always
  type: list
  elements: str
uses:
  description: File of somebody else's that names the repository already, or null.
  returned: always
  type: str
"""
