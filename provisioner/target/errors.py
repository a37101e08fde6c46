"""How code on a box refuses: one line for a person, and the next step."""

from __future__ import annotations

from typing import Optional


class TargetError(Exception):
    """Something a person must know about; becomes a `ProvisionError` on the controller."""

    def __init__(self, message: str, hint: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
