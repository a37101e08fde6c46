"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_alternative
short_description: Has one of several versions be what a path leads to
description:
  - By update-alternatives. A version that its own packages have registered is not registered again, and
    one that the tool would take by itself is not chosen by hand. A file or a folder in the link's place is
    refused.
author: the provision authors
options:
  name:
    description: Name of the group of alternatives, such as C(cuda).
    type: str
    required: true
  link:
    description: The path that leads somewhere.
    type: path
    required: true
  path:
    description: Where it is to lead.
    type: path
    required: true
  priority:
    description: Of those that are registered the highest is taken where nobody chose.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Make CUDA 12.4 the default
  provision_alternative:
    name: cuda
    link: /usr/local/cuda
    path: /usr/local/cuda-12.4
    priority: 124
"""
