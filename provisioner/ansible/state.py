"""A role's state.yml, rendered: what a finished box must look like. Imports no Ansible.

Each string is a Jinja template over the role's public variables. Four keys are ours:
`let: {name: text}`, an item of its own, names a text for the items below it; `when: EXPRESSION` leaves an
assertion out; `each: EXPRESSION` repeats it with `item` set; `explain: REQUEST` is what to ask
`runtime.fingerprint` on the box when the assertion does not hold. The name `deep` is true where a thorough
look was asked for, however long it takes. The filter `lock_digest` turns a lock name into
the digits that end its environment's folder, `literally` a text into a regular expression for just that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from provisioner import profiles
from provisioner.errors import ProvisionError
from provisioner.yamlfile import load_yaml

# A thorough look reads hundreds of gigabytes; another one says what is wrong with them. Seconds.
SECONDS, DEEP_SECONDS = 1800.0, 22000.0

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


def render_state(role_dir: Path, variables: Mapping[str, Any], *, deep: bool = False) -> list[dict[str, Any]]:
    """The assertions of `role_dir`/state.yml as they hold for a box with these variables.

    Raises ProvisionError for a file that is missing, is not YAML, or names what is no public variable.
    """
    path = role_dir / "state.yml"
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  # no HTML
    environment.filters["literally"] = re.escape
    environment.filters["lock_digest"] = lambda lock: profiles.lock_digest(lock)[:12]
    try:
        return list(
            _rendered(load_yaml(path.read_text(encoding="utf-8")), environment, {**variables, "deep": deep})
        )
    except FileNotFoundError as error:
        raise ProvisionError(f"role {role_dir.name} has no state.yml", hint=f"write {path}") from error
    except yaml.YAMLError as error:
        raise ProvisionError(f"{path} is not YAML: {error}", hint="correct it") from error
    except (jinja2.TemplateError, TypeError) as error:  # TypeError: a receipt's input of another type
        raise ProvisionError(
            f"{path} does not render: {error}", hint="it may use the role's public variables only"
        ) from error


def hold(assertions: Sequence[Mapping[str, Any]], ask: Ask) -> list[dict[str, Any]]:
    """The box's verdict on each assertion: `id`, `ok`, `observed`, and `why`, sentences, where it explains.

    `ask(entry, request)` asks the box.
    """
    plain = [{key: value for key, value in one.items() if key != "explain"} for one in assertions]
    results: list[dict[str, Any]] = ask("probe.state", {"assertions": plain})["results"]
    for assertion, result in zip(assertions, results, strict=True):
        if "explain" in assertion and result["ok"] is False:
            result["why"] = ask("runtime.fingerprint", assertion["explain"])["differs"]
    return results


def _rendered(
    items: list[dict[str, Any]], environment: jinja2.Environment, names: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for item in items:
        if "let" in item:
            names |= {name: _fill(text, environment, names) for name, text in item["let"].items()}
            continue
        body = {key: value for key, value in item.items() if key not in {"when", "each"}}
        values = _evaluate(item.get("each", "[none]"), environment, names)
        for value in values:
            scope = {**names, "item": value}
            if _evaluate(item.get("when", "true"), environment, scope):
                yield _fill(body, environment, scope)


def _evaluate(expression: str, environment: jinja2.Environment, names: Mapping[str, Any]) -> Any:
    return environment.compile_expression(expression, undefined_to_none=False)(**names)


def _fill(value: Any, environment: jinja2.Environment, names: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return environment.from_string(value).render(**names)
    if isinstance(value, list):
        return [_fill(item, environment, names) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, environment, names) for key, item in value.items()}
    return value
