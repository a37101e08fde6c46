"""The table of states is what it promises: each differs from the machine beside it in one thing."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.lab.process import LabError
from tests.vm.states import STATES, State, named

# What tells a state from another in words, and what is expected of it.
WORDS = {"name", "what", "base", "purposes", "flips"}
# States whose one thing QEMU and the kernel are told in several options.
MANIFOLD = {"vt-d-off": {"machine", "qemu", "options"}}


def setting(state: State) -> dict[str, object]:
    return {field.name: getattr(state, field.name) for field in fields(State) if field.name not in WORDS}


def test_names_are_unique() -> None:
    assert len({state.name for state in STATES}) == len(STATES)


@pytest.mark.parametrize("state", [state for state in STATES if state.base], ids=lambda state: state.name)
def test_a_state_differs_from_its_base_in_one_thing(state: State) -> None:
    mine, others = setting(state), setting(named(state.base))
    differing = {name for name in mine if mine[name] != others[name]}
    assert len(differing) == 1 or differing == MANIFOLD.get(state.name)


@pytest.mark.parametrize("state", [state for state in STATES if not state.base], ids=lambda state: state.name)
def test_a_base_flips_nothing_and_is_compared_with(state: State) -> None:
    assert state.flips == ()
    assert [other.name for other in STATES if other.base == state.name] != []


def test_an_unknown_state_is_said_with_those_there_are() -> None:
    with pytest.raises(LabError, match="no such state: vtd\none of: bios, uefi, "):
        named("vtd")
