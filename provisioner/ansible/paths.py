"""Where Ansible finds our plugins. Imports no Ansible."""

from __future__ import annotations

from pathlib import Path

from provisioner import layout

HERE = Path(__file__).resolve().parent


def plugin_environment() -> dict[str, str]:
    """Environment variables that let any ansible command find our plugins and roles, whatever its folder."""
    return {
        "ANSIBLE_ACTION_PLUGINS": str(HERE / "action"),
        "ANSIBLE_LIBRARY": str(HERE / "modules"),
        "ANSIBLE_LOOKUP_PLUGINS": str(HERE / "lookup"),
        "ANSIBLE_ROLES_PATH": str(layout.roles()),
    }
