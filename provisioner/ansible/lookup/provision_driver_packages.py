"""Patterns of the names that packages of the NVIDIA driver have."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

from provisioner.target.probe import driver_names

DOCUMENTATION = r"""
name: provision_driver_packages
short_description: Patterns of the names that packages of the NVIDIA driver have
description: Regular expressions that match from the start of a name, as unattended-upgrades reads them.
author: the provision authors
"""

EXAMPLES = r"""
- name: Say which packages are the driver's
  ansible.builtin.debug:
    msg: "{{ query('provision_driver_packages') }}"
"""

RETURN = r"""
_raw:
  description: The patterns.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup's entry point for Ansible."""

    def run(self, terms: list[str], variables: Any = None, **_: Any) -> list[str]:  # noqa: ARG002
        """The patterns."""
        return driver_names.patterns()
