"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_driver
short_description: Looks at the NVIDIA driver of a box, loads it, proves that it works
description:
  - Goes by the public variables of the role C(nvidia_driver).
author: the provision authors
options:
  do:
    description:
      - C(look) decides what is to be done, and with which packages; C(fabric) names the fabric manager of
        the driver's version; C(key) has the firmware asked to trust the key of this machine; C(load) loads
        the driver, or says why that needs a restart; C(check) proves it; C(why) says why a change failed;
        C(again) loads the driver that was there before such a change.
    type: str
    choices: [look, fabric, key, load, check, why, again]
    required: true
  own:
    description: Versions of the driver's packages by name, for C(fabric).
    type: dict
    default: {}
  installed:
    description: Whether the driver was installed by the role, for C(check).
    type: bool
    default: false
  loaded:
    description: Version of the driver that was loaded before the change, for C(again).
    type: str
    default: ""
  said:
    description: The message of the task that failed, for C(why).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look what there is
  provision_driver:
    do: look
  register: box
"""
