"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_kernel_options
short_description: Tells the kernel and its modules what they are to run with
description:
  - Each parameter is checked against what the module takes, on the running kernel and on the one after it.
  - What the kernel lets change while it runs is changed; C(restart) says what waits for a restart.
  - An option of the kernel's command line is tried for one start. When the machine has come back with it,
    the next run of this keeps it; when it has come back without it, the next run takes it off and fails.
author: the provision authors
options:
  do:
    description:
      - C(look) checks what is asked for and names the C(resources) that it comes to. C(apply) does it, too.
    type: str
    choices: [look, apply]
    required: true
  modprobe:
    description: Parameters of modules, a mapping of each to its value by module.
    type: dict
    default: {}
  boot:
    description: Options of the kernel's command line.
    type: list
    elements: str
    default: []
  blacklist:
    description: Modules that are not to be loaded by themselves.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Have the options
  provision_kernel_options:
    do: apply
    modprobe: {nvidia: {NVreg_PreserveVideoMemoryAllocations: 1}}
    boot: [iommu=pt]
"""
