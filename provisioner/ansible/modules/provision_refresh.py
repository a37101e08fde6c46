"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_refresh
short_description: Makes anew what is made out of other files, when those have changed
description:
  - Does nothing while every input is as it was when the thing was last made, and the thing is there.
  - A run that was interrupted counts as none. A box that has no such thing is left alone, and C(msg)
    says why.
author: the provision authors
options:
  what:
    description:
      - C(initramfs) of all installed kernels, C(boot) for the boot menu, C(units) for systemd's list of
        units, C(trust) for the store of trusted certificates, C(loader) for the dynamic loader's cache.
    type: str
    choices: [initramfs, boot, units, trust, loader]
    required: true
  inputs:
    description: Files and folders that the role changes and the thing is made of. They need not be there.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Have the kernels start with the modules' options
  provision_refresh:
    what: initramfs
    inputs: [/etc/modprobe.d/provisioner-options.conf]
"""
