"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_components
short_description: Switches on parts of Debian's archive
description:
  - They come in a file named after the role, for each mirror and suite that apt has main of from Debian. What
    is switched on already is left alone, and then the result's C(path) is empty.
author: the provision authors
options:
  components:
    description: Names of the parts.
    type: list
    elements: str
    default: [contrib, non-free]
"""

EXAMPLES = r"""
- name: Know the parts of Debian's archive that have NVIDIA's software
  provision_components:
"""
