"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_shell
short_description: Runs a POSIX shell script where there may be no Python
description:
  - The script goes down standard input, so nothing in it shows in a list of processes.
  - It says what it found on lines C(provision.KEY=VALUE). C(changed) lists what it changed, or would change;
    C(refused) is why it cannot go on; every other key comes back as a list of words.
author: the provision authors
options:
  script:
    description: The script. What it starts must not read standard input.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Look for Python
  provision_shell:
    script: "{{ lookup('ansible.builtin.template', 'bare.sh.j2') }}"
"""
