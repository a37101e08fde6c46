"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_undo
short_description: Takes off what roles have put on a box, and puts back what was there before
description:
  - Files, links, trees, packages, alternatives, units, accounts and holds are put back as the roles'
    receipts say that they were. What somebody has changed since stays, and is named in C(kept).
  - Fails, before anything is changed, when the package manager would touch a package that is not on its list.
  - Without C(role) and C(roles) all roles are taken off, and with them Python, where host_base has
    installed it, so no task may follow on such a box.
  - In check mode it only says what it would do.
author: the provision authors
options:
  role:
    description: A role to take off.
    type: str
  roles:
    description: Several roles to take off; none means all that are there.
    type: list
    elements: str
    default: []
  to:
    description:
      - How far back. C(prior) is how things were before the role's first change.
      - C(before) is how they were when the change under way began, for a role's rescue.
    type: str
    choices: [prior, before]
    default: prior
  keep:
    description: What stays although its role goes. C(weights) are the models that were fetched.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Have the driver again that was there before
  provision_undo:
    role: nvidia_driver
    to: before
"""

RETURN = r"""
steps:
  description: What was taken off or put back, each with C(role), C(what), C(bytes) and C(done).
  returned: success
  type: list
kept:
  description: What stays as it is, each with C(role), C(what) and C(why).
  returned: success
  type: list
reboot:
  description: Why the box has to be restarted to be as before; null when it need not.
  returned: success
  type: str
"""
