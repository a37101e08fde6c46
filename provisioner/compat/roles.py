"""What a role can be told: its public variables, their defaults, and their types, from the role itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from provisioner import layout
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.yamlfile import load_yaml

ORDER = ("host_base", "python_env", "model_weights", "smoke_test")

# Mending one of these changes what the role on the left has proved, so it proves it again.
RERUN_AFTER: Mapping[str, tuple[str, ...]] = {"smoke_test": ("python_env", "model_weights")}

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str, "path": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict,
}  # fmt: skip
_WORDS = {
    "str": "a text", "path": "a path", "int": "a whole number", "float": "a number", "bool": "true or false",
    "list": "a list", "dict": "a mapping",
}  # fmt: skip


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


def is_known(variable: str) -> bool:
    """Whether a role has this public variable."""
    return any(variable in defaults(role) for role in ORDER)


def parse(variable: str, text: str) -> Any:
    """What `--set VARIABLE=TEXT` says, in the type that the role wants. Raises UsageError."""
    option = _options(role_of(variable))[variable]
    kind = str(option.get("type", "str"))
    if kind in ("str", "path"):
        value: Any = text
    else:
        try:
            value = load_yaml(text)
        except yaml.YAMLError:
            value = None
        if kind == "list" and isinstance(value, str):
            value = [item.strip() for item in value.split(",")]
    if not isinstance(value, _TYPES[kind]) or (kind == "int" and isinstance(value, bool)):
        raise UsageError(f"--set {variable}={text}: not {_WORDS[kind]}", hint=_means(variable, option))
    elements = str(option.get("elements", ""))
    items: list[Any] = value if isinstance(value, list) and elements else []
    if not all(isinstance(item, _TYPES[elements]) for item in items):
        raise UsageError(
            f"--set {variable}={text}: not {_WORDS[elements]} each", hint=_means(variable, option)
        )
    if value not in option.get("choices", [value]):
        known = ", ".join(map(str, option["choices"]))
        raise UsageError(f"--set {variable}={text}: no such choice", hint=f"one of {known}")
    return value


def _means(variable: str, option: Mapping[str, Any]) -> str:
    """What a variable is for, from the role itself, and an example."""
    meaning = option["description"]
    first = str(meaning if isinstance(meaning, str) else meaning[0]).rstrip(".")
    return f"{variable} is: {first}; its default is {json.dumps(option.get('default'), ensure_ascii=False)}"


@cache
def _options(role: str) -> Mapping[str, Mapping[str, Any]]:
    """The role's argument spec."""
    spec = load_yaml((layout.roles() / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options: Mapping[str, Mapping[str, Any]] = spec["argument_specs"]["main"]["options"]
    return options


@cache
def secrets(role: str) -> frozenset[str]:
    """The public variables that must never be written down: those marked no_log in the argument spec."""
    return frozenset(name for name, option in _options(role).items() if option.get("no_log"))


def is_secret(variable: str) -> bool:
    """Whether a public variable is a secret."""
    return variable in secrets(role_of(variable))
