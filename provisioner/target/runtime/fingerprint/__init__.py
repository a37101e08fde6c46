"""What a model's folder holds, tensor by tensor: so that what is wrong with it later has a name.

`record` takes it when weights are published; `what_differs` compares; `oddities` needs no record.
"""

from __future__ import annotations

from typing import Any, Dict

from ..files import os_refusal
from .differ import NOTHING_RECORDED, what_differs
from .odd import oddities
from .prints import RECORD, record, recorded, take

__all__ = ["NOTHING_RECORDED", "RECORD", "main", "oddities", "record", "recorded", "take", "what_differs"]


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"differs": sentences, "oddities": sentences}` of the model in the folder `path`; reads all of it."""
    try:
        return {"differs": what_differs(request["path"]), "oddities": oddities(request["path"])}
    except OSError as error:
        raise os_refusal(error, request["path"]) from error
