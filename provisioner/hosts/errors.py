"""What can go wrong on the way to a host. Each says one line that names the host, and the next step."""

# ruff: noqa: N818 - the names say what happened, as they do in the sentence that names them

from __future__ import annotations

from typing import Any

from provisioner.errors import ProvisionError

LOST_HINT = "run the same command again: what runs on the box goes on, and is not started twice"


class Unreachable(ProvisionError):
    """No connection: name, route, port, time."""


class ConnectionLost(Unreachable):
    """The connection broke off in the middle of a call; what ran detached on the box goes on."""


class KeyRefused(ProvisionError):
    """The host is there and does not let us in."""


class HostKeyChanged(ProvisionError):
    """The host shows another key than the one on record."""


class HostKeyUnknown(ProvisionError):
    """Nobody has confirmed this host's key yet."""


class NoSudo(ProvisionError):
    """Root was required and cannot be had."""


class Busy(ProvisionError):
    """Another run holds the host's lock; `holder` is what it wrote there."""

    def __init__(self, message: str, *, holder: dict[str, Any], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class ProbeFailed(ProvisionError):
    """The host answered, but not with an answer: no frame, a crash, not JSON."""

    def __init__(self, message: str, *, hint: str | None = None, trace: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.trace = trace


class Refused(ProvisionError):
    """Code on the box refused with a TargetError: its line and its hint."""
