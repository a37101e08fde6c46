"""A role's public variables, read from its argument specification: for the plan and for the receipt alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provisioner.errors import ProvisionError
from provisioner.yamlfile import load_yaml

# Where the smoke test runs, not what it is asked.
SMOKE_WITHOUT = ("env",)


@dataclass(frozen=True, slots=True)
class Option:
    """One public variable of a role; `elements` is the type of a list's items, "" for any."""

    name: str
    type: str
    description: tuple[str, ...]
    default: Any = None
    elements: str = ""
    choices: tuple[Any, ...] = ()
    secret: bool = False


def read_options(role_dir: Path) -> tuple[Option, ...]:
    """The options of the role's `main` entry point, in the order they are written."""
    path = role_dir / "meta" / "argument_specs.yml"
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
        options = document["argument_specs"]["main"]["options"]
    except FileNotFoundError as error:
        raise ProvisionError(
            f"role {role_dir.name} has no argument specification",
            hint=f"write {path}: it decides which variables its receipt holds",
        ) from error
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise ProvisionError(
            f"{path} has no argument_specs.main.options", hint="see any other role's meta/argument_specs.yml"
        ) from error
    return tuple(_option(name, body) for name, body in options.items())


def read_defaults(role_dir: Path) -> dict[str, Any]:
    """The role's `defaults/main.yml`: plain values by the project's convention."""
    path = role_dir / "defaults" / "main.yml"
    return dict(load_yaml(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


def input_names(role_dir: Path) -> tuple[str, ...]:
    """Names of the variables that a receipt stores: all public ones but secrets."""
    return tuple(option.name for option in read_options(role_dir) if not option.secret)


def job_spec(role: str, values: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """What the role's job is asked: its public variables without their prefix, but for those named."""
    prefix = f"{role}_"
    named = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return {name: value for name, value in named.items() if name not in without}


def _option(name: str, body: dict[str, Any]) -> Option:
    description = body.get("description", "")
    sentences = description if isinstance(description, list) else [description]
    return Option(
        name=name,
        type=str(body.get("type", "str")),
        description=tuple(str(sentence).strip() for sentence in sentences),
        default=body.get("default"),
        elements=str(body.get("elements", "")),
        choices=tuple(body.get("choices", ())),
        secret=bool(body.get("no_log", False)),
    )
