"""Run code that was sent along, in the box's own Python."""

from __future__ import annotations

import base64
import os
import sys

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: provision_target
short_description: Runs one entry of provisioner.target on a box
description:
  - Starts a Python of the box with a loader on its command line and a payload on its standard input,
    and returns what it answered. Nothing is installed on the box for it.
  - Not for playbooks. The C(provision_*) actions build the payload and read the answer.
author: the provision authors
options:
  loader:
    description: Text for C(python -c).
    type: str
    required: true
  payload:
    description: Base64 of the bytes for its standard input; may hold secrets.
    type: str
    required: true
  python:
    description: The interpreter. The one that runs this module when left out.
    type: path
attributes:
  check_mode:
    support: full
    description: The payload says whether it may change anything.
"""

EXAMPLES = r"""
- name: What the actions do
  provision_target:
    loader: "{{ loader }}"
    payload: "{{ payload }}"
"""

RETURN = r"""
answer:
  description: Base64 of everything it wrote on standard output.
  returned: when the interpreter is there
  type: str
missing:
  description: The interpreter asked for is not there.
  returned: always
  type: bool
rc:
  description: Its exit status.
  returned: when the interpreter is there
  type: int
stderr:
  description: What it complained of.
  returned: when the interpreter is there
  type: str
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "loader": {"type": "str", "required": True},
            "payload": {"type": "str", "required": True, "no_log": True},
            "python": {"type": "path"},
        },
        supports_check_mode=True,
        # Otherwise each call writes the loader's text to the box's system log.
        no_log=True,
    )
    python = module.params["python"] or sys.executable
    if not os.access(python, os.X_OK):
        module.exit_json(changed=False, missing=True)
    rc, out, err = module.run_command(
        [python, "-I", "-X", "utf8", "-c", module.params["loader"]],
        data=base64.b64decode(module.params["payload"]),
        binary_data=True,
        encoding=None,
    )
    module.exit_json(
        changed=False,
        missing=False,
        rc=rc,
        answer=base64.b64encode(out).decode("ascii"),
        stderr=err.decode("utf-8", "replace")[-4000:],
    )


if __name__ == "__main__":
    main()
