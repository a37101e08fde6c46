"""A role's state.yml, rendered: what a finished box must look like. Imports no Ansible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from provisioner import profiles
from provisioner.errors import ProvisionError


def render_state(role_dir: Path, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The assertions of `role_dir`/state.yml with the role's public variables filled in.

    The whole file is one template, so that a loop can write an assertion an item. The filter `lock_digest`
    turns a lock's name into the digits that end its environment's folder; `tojson` makes a YAML scalar of
    anything.
    """
    path = role_dir / "state.yml"
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 (YAML, not HTML)
    environment.filters["lock_digest"] = lambda lock: profiles.lock_digest(lock)[:12]
    try:
        document = yaml.safe_load(
            environment.from_string(path.read_text(encoding="utf-8")).render(**variables)
        )
    except FileNotFoundError as error:
        raise ProvisionError(f"role {role_dir.name} has no state.yml", hint=f"write {path}") from error
    except jinja2.TemplateError as error:
        raise ProvisionError(
            f"{path} does not render: {error}", hint="it may use the role's public variables only"
        ) from error
    return list(document or [])
