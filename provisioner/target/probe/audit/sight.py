"""What this process can see at all: a container's /sys shows another machine's, or nothing, silently."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..box import Box
from . import readings
from .readings import Reading


class Sight:
    """Kind of machine and rights of this process; sections ask it before they believe what they read.

    `firmware`: why nothing here tells of the firmware (a container, WSL, a masked /sys/firmware), None when
    it does.
    """

    def __init__(self, box: Box, facts: Dict[str, Any], request: Dict[str, Any]) -> None:
        self.box, self.facts, self.request = box, facts, request
        self.container: Optional[str] = facts["os"]["container"]
        self.wsl: bool = bool(facts["os"]["wsl"])

    def section(self) -> Dict[str, Any]:
        """`Audit.sight`."""
        return {"virtualization": self.virtualization, "capabilities": self.capabilities}

    @property
    def firmware(self) -> Optional[str]:
        """Why nothing here tells of the firmware and the slots; None when it does."""
        if self.wsl:
            return (
                "WSL shows nothing of the machine's firmware and slots: look on the Windows side (msinfo32)"
            )
        if self.container:
            return "not seen from inside a container: run this on the machine that runs it"
        return None

    @property
    def virtualization(self) -> Reading:
        return readings.hidden("not looked at")

    @property
    def capabilities(self) -> Reading:
        return readings.hidden("not looked at")
