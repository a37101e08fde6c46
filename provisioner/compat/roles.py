"""What a role can be told: its public variables, their defaults, and their types, from the role itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import yaml

from provisioner import argspec, layout
from provisioner.argspec import Option
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.profiles import origins
from provisioner.yamlfile import load_yaml

ORDER = (
    "host_base", "nvidia_repository", "nvidia_driver", "cuda_toolkit", "kernel_options",
    "python_env", "model_weights", "smoke_test",
)  # fmt: skip
# These are in a plan only where it has something to install for them, or where the box has their receipt.
BY_NEED = ("nvidia_repository", "nvidia_driver", "cuda_toolkit", "kernel_options")

# What the plan decides as a whole, and how to say what is wanted: alone, one of these would fit nothing else.
DECIDED: Mapping[str, str] = {
    "host_base_scope": "say --scope system or --scope user",
    **dict.fromkeys(
        (
            "host_base_code_dir", "host_base_state_dir", "host_base_cache_dir", "python_env_dir",
            "model_weights_dir", "smoke_test_env",
        ),
        "where things are follows from --scope",
    ),
    "python_env_name": "say --set environment.lock=NAME",
    "python_env_lock": "say --set environment.lock=NAME",
    "python_env_digest": "say --upgrade for the newest",
    "model_weights_name": f"say --model {origins.SAY}",
    **dict.fromkeys(
        (
            "nvidia_repository_name", "nvidia_repository_arch", "nvidia_repository_url",
            "nvidia_repository_keyring_url", "nvidia_repository_keyring_sha256",
            "nvidia_repository_fingerprint", "nvidia_repository_driver",
        ),
        "it follows from the system; say --set nvidia_repository_mirror=ADDRESS for another server",
    ),
    **dict.fromkeys(
        (
            "nvidia_driver_action", "nvidia_driver_version", "nvidia_driver_packages",
            "nvidia_driver_streams", "nvidia_driver_fabric_manager", "nvidia_driver_load",
            "nvidia_driver_runfile",
        ),
        "say --branch NUMBER, or --route WAY",
    ),
    **dict.fromkeys(
        (
            "cuda_toolkit_release", "cuda_toolkit_way", "cuda_toolkit_packages", "cuda_toolkit_compiler",
            "cuda_toolkit_runfile", "cuda_toolkit_cudnn_packages",
        ),
        "say --cuda VERSION, or --route WAY",
    ),
}  # fmt: skip

# Mending one of these changes what the role on the left has proved, so it proves it again.
RERUN_AFTER: Mapping[str, tuple[str, ...]] = {
    "cuda_toolkit": ("nvidia_driver",),
    "smoke_test": ("nvidia_driver", "python_env", "model_weights"),
}

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str, "path": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict,
    "raw": object,
}  # fmt: skip
# Texts that mean something the type does not say; each raises UsageError for what means nothing.
_MEANINGS: Mapping[str, Callable[[Any], object]] = {"model_weights_bandwidth": origins.bandwidth}
_WORDS = {
    "str": "a text", "path": "a path", "int": "a whole number", "float": "a number", "bool": "true or false",
    "list": "a list", "dict": "a mapping",
}  # fmt: skip


@cache
def defaults(role: str) -> Mapping[str, Any]:
    """The role's public variables with their default values."""
    return argspec.read_defaults(layout.roles() / role)


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
    if variable in DECIDED:
        raise UsageError(f"--set {variable}: the plan decides this one", hint=DECIDED[variable])
    kind = option.type
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
        raise UsageError(f"--set {variable}={text}: not {_WORDS[kind]}", hint=_means(option))
    items: list[Any] = value if isinstance(value, list) and option.elements else []
    if not all(isinstance(item, _TYPES[option.elements]) for item in items):
        raise UsageError(f"--set {variable}={text}: not {_WORDS[option.elements]} each", hint=_means(option))
    if variable in _MEANINGS:
        _MEANINGS[variable](value)
    if option.choices and value not in option.choices:
        known = ", ".join(map(str, option.choices))
        raise UsageError(f"--set {variable}={text}: no such choice", hint=f"one of {known}")
    return value


def _means(option: Option) -> str:
    """What a variable is for, from the role itself, and its default."""
    first, default = option.description[0].rstrip("."), json.dumps(option.default, ensure_ascii=False)
    return f"{option.name} is: {first}; its default is {default}"


@cache
def _options(role: str) -> Mapping[str, Option]:
    """The role's argument spec."""
    return {option.name: option for option in argspec.read_options(layout.roles() / role)}


@cache
def secrets(role: str) -> frozenset[str]:
    """The public variables that must never be written down: those marked no_log in the argument spec."""
    return frozenset(name for name, option in _options(role).items() if option.secret)


def is_secret(variable: str) -> bool:
    """Whether a public variable is a secret."""
    return variable in secrets(role_of(variable))
