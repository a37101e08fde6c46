"""What a section is given: a box, and what can be seen of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.probe import collect
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]
See = Callable[..., Sight]
NO_CAPABILITIES = "Name:\tpython3\nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\n"


@pytest.fixture
def see(plant: Plant) -> See:
    """Sight of a planted tree; `request` is what the audit was asked for."""

    def make(files: dict[str, str | bytes], **request: Any) -> Sight:
        return sight_of(plant({"/etc/": "", **files}), **request)

    return make


def sight_of(root: Path, **request: Any) -> Sight:
    facts = collect.collect(str(root), [])
    return Sight(Box(str(root)), facts, request)
