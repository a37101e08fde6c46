"""The action provision_undo: what is asked of the box, and what ends a play."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from tests.unit.ansible.test_actions import load

Asked = list[tuple[str, dict[str, Any]]]
ANSWER = {"changed": True, "roles": ["python_env"], "steps": [], "kept": [], "refused": [], "ending": []}


def action(
    answer: dict[str, Any], asked: Asked, *, checking: bool = False
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """`act` of the action with an emulated box, which answers this."""

    class Emulated(load("provision_undo").ActionModule):  # type: ignore[misc]
        def place(self, task_vars: object) -> str:
            return "/state"

        def ask(self, entry: str, request: dict[str, Any], task_vars: object) -> dict[str, Any]:
            asked.append((entry, request))
            return answer

    Emulated.checking = checking
    one = Emulated.__new__(Emulated)
    return lambda args: dict(one.act(args, {}))


@pytest.mark.parametrize(
    ("args", "roles", "to", "keep"),
    [
        ({}, [], "prior", []),
        ({"roles": ["python_env"], "keep": ["weights"]}, ["python_env"], "prior", ["weights"]),
        ({"role": "nvidia_driver", "to": "before"}, ["nvidia_driver"], "before", []),
        ({"roles": ["python_env"], "role": "model_weights"}, ["python_env", "model_weights"], "prior", []),
    ],
)
@pytest.mark.parametrize("checking", [False, True])
def test_what_is_asked_of_the_box(
    args: dict[str, Any], roles: list[str], to: str, keep: list[str], checking: bool
) -> None:
    asked: Asked = []
    assert action(ANSWER, asked, checking=checking)(args) == ANSWER
    wanted = {"roles": roles, "to": to, "keep": keep, "state": "/state", "check": checking}
    assert asked == [("system.undo", wanted)]


def test_what_the_box_refuses_ends_the_play() -> None:
    with pytest.raises(ProvisionError, match="a would go; b would go") as refusal:
        action({**ANSWER, "refused": ["a would go", "b would go"]}, [])({})
    assert refusal.value.hint == "nothing was taken off"


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ({"to": "yesterday"}, "to: yesterday is no way back", "one of prior, before"),
        ({"to": "before"}, "to: before goes back in one role's change", "say which with role: NAME"),
    ],
)
def test_what_makes_no_sense_is_not_asked(args: dict[str, Any], message: str, hint: str) -> None:
    asked: Asked = []
    with pytest.raises(ProvisionError) as refusal:
        action(ANSWER, asked)(args)
    assert (refusal.value.message, refusal.value.hint, asked) == (message, hint, [])
