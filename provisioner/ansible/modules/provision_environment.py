"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_environment
short_description: Puts variables into /etc/environment
description:
  - PAM gives them to whoever logs in, without a shell too, and to cron's jobs. What others wrote there stays.
author: the provision authors
options:
  variables:
    description: Values by name. One that is there already gets the new value.
    type: dict
    default: {}
  folders:
    description: Folders that stand behind the others in C(PATH).
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Have programs found
  provision_environment:
    variables: {CUDA_HOME: /usr/local/cuda}
    folders: [/usr/local/cuda/bin]
"""
