"""Habits every role keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.role_docs import ROLES, readme, role_folders

# Without these there is no path from a fresh machine to an answer, so an empty roles/ cannot pass.
NEEDED = {"host_base", "python_env", "model_weights", "smoke_test"}
FILES = ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "state.yml",
         "tasks/main.yml", "molecule/default/molecule.yml", "molecule/default/converge.yml",
         "molecule/default/verify.yml", "molecule/default/side_effect.yml")  # fmt: skip

roles = pytest.mark.parametrize("role", role_folders(), ids=lambda role: role.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options(role: Path) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = read(role / "meta/argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return found


@pytest.mark.skipif(not ROLES.is_dir(), reason="roles/ does not exist yet")
def test_the_path_to_an_answer_has_its_roles() -> None:
    assert {role.name for role in role_folders()} >= NEEDED


@roles
def test_a_role_has_its_files(role: Path) -> None:
    assert [name for name in FILES if not (role / name).is_file()] == []


@roles
def test_argument_spec_and_defaults_agree(role: Path) -> None:
    defaults = read(role / "defaults/main.yml") or {}
    from_spec = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert defaults == from_spec
    assert [
        name
        for name, option in options(role).items()
        if not option.get("required") and "default" not in option
    ] == []


@roles
def test_every_variable_says_what_it_is(role: Path) -> None:
    incomplete = [
        name for name, option in _all_options(options(role)) if not {"type", "description"} <= set(option)
    ]
    assert incomplete == []


def _all_options(specs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, option in specs.items():
        yield name, option
        for inner, inner_option in _all_options(option.get("options", {})):
            yield f"{name}.{inner}", inner_option


@roles
def test_public_variables_carry_the_roles_name(role: Path) -> None:
    assert [name for name in options(role) if not name.startswith(role.name + "_")] == []


@roles
def test_defaults_are_plain_values(role: Path) -> None:
    assert re.findall(r"\{[{%#].*", (role / "defaults/main.yml").read_text(encoding="utf-8")) == []


@roles
def test_defaults_have_the_types_they_declare(role: Path) -> None:
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,), "path": (str,), "raw": (object,), "bool": (bool,), "int": (int,),
        "float": (int, float), "list": (list,), "dict": (dict,),
    }  # fmt: skip
    wrong = [
        name
        for name, option in options(role).items()
        if option.get("default") is not None and not isinstance(option["default"], kinds[option["type"]])
    ]
    assert wrong == []


@roles
def test_receipt_opens_and_closes_the_role(role: Path) -> None:
    tasks = read(role / "tasks/main.yml")
    # A receipt needs Python, so the role that brings Python looks for it first; others cannot name their
    # resources before they know what is there.
    bare = {"host_base": 2, "preflight_fixes": 1, "nvidia_repository": 1, "kernel_options": 1}.get(
        role.name, 0
    )
    own = ("provision_repository", "provision_kernel_options")
    looks = [any(task.get(name, {}).get("do") == "look" for name in own) for task in tasks[:bare]]
    assert all(
        look or "provision_shell" in task or "interpreter.yml" in str(task)
        for look, task in zip(looks, tasks[:bare], strict=True)
    )
    assert tasks[0].get("changed_when") is (False if bare and not looks[0] else None)
    phases = [_phase(tasks[bare]), _phase(tasks[-1])]
    assert phases == ["begin", "done"]


def _phase(task: Mapping[str, Any]) -> str | None:
    for name, arguments in task.items():
        if name.rsplit(".", 1)[-1] == "provision_receipt":
            return str(arguments.get("phase"))
    return None


@roles
def test_state_names_are_unique_and_the_roles_own(role: Path) -> None:
    assertions = [one for one in read(role / "state.yml") if "let" not in one]
    ids = [one["id"] for one in assertions]
    assert ids
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if not one.startswith(role.name + ".")] == []
    assert [one["id"] for one in assertions if not one.get("what")] == []


@roles
def test_nothing_hides_a_failure(role: Path) -> None:
    hidden = []
    for path in sorted(role.rglob("*.yml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"ignore_errors|failed_when:\s*(false|no)\b|that:\s*(true|\[\s*true)", line):
                hidden.append(f"{path.relative_to(ROLES)}:{number}")
    assert hidden == []


@roles
def test_readme_is_what_the_spec_says(role: Path) -> None:
    assert (role / "README.md").read_text(encoding="utf-8") == readme(role)
