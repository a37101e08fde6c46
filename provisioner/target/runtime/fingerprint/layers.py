"""Which layer a tensor belongs to, by the names that models use."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

_NAMED = re.compile(r"^(.*?(?:^|\.)(?:layers|layer|h|blocks|block|blk))\.(\d{1,6})\.(.+)$")


class Place(NamedTuple):
    """`model.layers.3.mlp.up_proj.weight` is layer 3 of the stack `model.layers`, its `rest` what follows."""

    stack: str
    layer: int
    rest: str


def place_of(name: str) -> Optional[Place]:
    """The layer of a tensor; None for those outside all layers."""
    match = _NAMED.match(name)
    return Place(match.group(1), int(match.group(2)), match.group(3)) if match else None
