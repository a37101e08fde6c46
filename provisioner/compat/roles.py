"""What a role can be told: its public variables, their defaults, and their types, from the role itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from provisioner import layout
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.yamlfile import load_yaml

ORDER = ("host_base", "python_env", "model_weights", "smoke_test")

# Mending one of these changes what the role on the left has proved, so it proves it again.
RERUN_AFTER: Mapping[str, tuple[str, ...]] = {"smoke_test": ("python_env", "model_weights")}


@cache
def defaults(role: str) -> Mapping[str, Any]:
    """The role's public variables with their default values."""
    values = load_yaml((layout.roles() / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


def role_of(variable: str) -> str:
    """The role that owns a public variable. Raises UsageError naming the nearest known one."""
    for role in ORDER:
        if variable in defaults(role):
            return role
    known = [name for role in ORDER for name in defaults(role)]
    raise UsageError(f"unknown variable {variable}", hint=nearest_hint(variable, known))


@cache
def secrets(role: str) -> frozenset[str]:
    """The public variables that must never be written down: those marked no_log in the argument spec."""
    spec = load_yaml((layout.roles() / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = spec["argument_specs"]["main"]["options"]
    return frozenset(name for name, option in options.items() if option.get("no_log"))


def is_secret(variable: str) -> bool:
    """Whether a public variable is a secret."""
    return variable in secrets(role_of(variable))
