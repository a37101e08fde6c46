"""What a model's folder holds, tensor by tensor: so that what is wrong with it later has a name.

`record` takes it when weights are published; `what_differs` compares; `oddities` needs no record.
"""

from __future__ import annotations

from .differ import NOTHING_RECORDED, what_differs
from .odd import oddities
from .prints import RECORD, record, recorded, take

__all__ = ["NOTHING_RECORDED", "RECORD", "oddities", "record", "recorded", "take", "what_differs"]
