"""How machines are looked at."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from provisioner.compat import Settings
from provisioner.engine.survey import survey
from tests.unit.engine.test_converge import FakeTransport


@pytest.mark.parametrize(("scope", "privilege"), [("auto", "auto"), ("system", "auto"), ("user", "none")])
def test_who_wants_no_root_is_not_looked_at_as_root(
    scope: Literal["auto", "system", "user"], privilege: str
) -> None:
    """Through sudo, the user's own places would be those of root, which the run then may not write."""
    asked: list[Any] = []

    class Box(FakeTransport):
        def call(self, entry: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
            asked.append(how["privilege"])
            return super().call(entry, request)

    survey([Box("box", [])], Settings(scope=scope))
    assert asked == [privilege]
