"""The text of a lock file, by name."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from provisioner import profiles
from provisioner.errors import ProvisionError

DOCUMENTATION = r"""
name: provision_lock
short_description: The text of a lock file
description: Reads a lock that comes with the tool, or a requirements file on the controller.
author: the provision authors
options:
  _terms:
    description: Names of shipped locks, or paths.
    required: true
"""

EXAMPLES = r"""
- name: Name an environment after its lock
  ansible.builtin.set_fact:
    digest: "{{ lookup('provision_lock', 'llama') | hash('sha256') }}"
"""

RETURN = r"""
_raw:
  description: The requirements, with hashes.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup's entry point for Ansible."""

    def run(self, terms: list[str], variables: Any = None, **_: Any) -> list[str]:  # noqa: ARG002
        """The text of each lock named."""
        try:
            return [profiles.lock_text(str(term)) for term in terms]
        except ProvisionError as error:
            raise AnsibleLookupError(f"{error.message} — {error.hint}") from error
