"""Public variables come from the argument specification; secrets are no inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner import layout
from provisioner.argspec import Option, input_names, read_defaults, read_options
from provisioner.compat.roles import ORDER
from provisioner.errors import ProvisionError

SPEC = """
argument_specs:
  main:
    options:
      r_size: {type: int, default: 3, description: [A size., In bytes.]}
      r_kind: {type: str, default: a, choices: [a, b], description: A kind.}
      r_more: {type: list, elements: int}
      r_key: {type: str, default: "", no_log: true, description: A secret.}
"""


@pytest.fixture
def role(tmp_path: Path) -> Path:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "argument_specs.yml").write_text(SPEC)
    return tmp_path


def test_options_are_read_in_order(role: Path) -> None:
    assert read_options(role) == (
        Option("r_size", "int", ("A size.", "In bytes."), 3),
        Option("r_kind", "str", ("A kind.",), "a", choices=("a", "b")),
        Option("r_more", "list", ("",), elements="int"),
        Option("r_key", "str", ("A secret.",), "", secret=True),
    )


def test_secrets_are_no_inputs(role: Path) -> None:
    assert input_names(role) == ("r_size", "r_kind", "r_more")


def test_a_role_without_defaults_has_none(role: Path) -> None:
    assert read_defaults(role) == {}


@pytest.mark.parametrize("text", ["argument_specs: {}", "- a", "argument_specs: {main: {options: "])
def test_a_broken_specification_is_named(role: Path, text: str) -> None:
    path = role / "meta" / "argument_specs.yml"
    path.write_text(text)
    with pytest.raises(ProvisionError, match=r"no argument_specs\.main\.options") as caught:
        read_options(role)
    assert str(path) in caught.value.message


def test_a_missing_specification_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="has no argument specification"):
        read_options(tmp_path)


@pytest.mark.parametrize("role", ORDER)
def test_every_role_of_ours_has_as_many_inputs_as_defaults(role: str) -> None:
    folder = layout.roles() / role
    assert list(input_names(folder)) == list(read_defaults(folder))
