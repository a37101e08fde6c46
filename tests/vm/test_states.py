"""The verdict flips with the state of the firmware, and nothing else does. Real firmware, booted; the
machine presents itself as nobody's guest (emulated), or every verdict would be the hypervisor's.
"""

from __future__ import annotations

import pytest

from .audit import all_flips, beside, contradictions, table
from .conftest import Looked
from .states import STATES, State

COMPARED = [state for state in STATES if state.base]


@pytest.mark.parametrize("state", COMPARED, ids=lambda state: state.name)
def test_the_findings_flip_with_the_state_and_nothing_else_does(state: State, looked: Looked) -> None:
    found = all_flips(looked(beside(state)), looked(state))
    assert found == set(state.flips), table(state, found)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_without_root_less_is_known_and_nothing_is_known_wrongly(state: State, looked: Looked) -> None:
    audited = looked(state)
    assert contradictions(audited.findings, audited.rootless) == {}
