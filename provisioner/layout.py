"""Where the playbooks, roles and plugins are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


@cache
def data_root() -> Path:
    """The folder that holds playbooks/ and roles/."""
    inside = PACKAGE / "_data"
    return inside if inside.is_dir() else PACKAGE.parent


def roles() -> Path:
    """The roles, one folder each."""
    return data_root() / "roles"


def playbooks() -> Path:
    """The playbooks."""
    return data_root() / "playbooks"


def ansible_settings() -> dict[str, str]:
    """What Ansible must be told to find all of ours, by key of ansible.cfg (or ANSIBLE_KEY)."""
    plugins = PACKAGE / "ansible"
    return {
        "roles_path": str(roles()),
        "library": str(plugins / "modules"),
        "action_plugins": str(plugins / "action"),
        "lookup_plugins": str(plugins / "lookup"),
    }
