"""Reads what a machine is and what became of what was once put on it; writes nothing."""

from __future__ import annotations

from typing import Any, Dict


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """Facts as plain JSON (schema 1, see docs/architecture.md).

    `receipts`: folders to look in, None for the standard places of both scopes.
    `root`: "/", or a folder that holds a recorded tree; of a recorded tree only what files tell is reported.
    """
    from .collect import collect

    return collect(request.get("root") or "/", request.get("receipts"))
