"""The one family of errors a user sees, and the exit codes they end in."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes are interface: scripts and CI branch on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PREFLIGHT_BLOCKED = 3
    PLAN_IMPOSSIBLE = 4
    DRIFT = 5
    REBOOT_REQUIRED = 6
    INTERRUPTED = 130

    @classmethod
    def worst(cls, codes: list[ExitCode]) -> ExitCode:
        """The code of a run over several hosts: 1 > 3 > 4 > 6 > 5 > 0."""
        order = (
            cls.FAILED,
            cls.PREFLIGHT_BLOCKED,
            cls.PLAN_IMPOSSIBLE,
            cls.REBOOT_REQUIRED,
            cls.DRIFT,
            cls.DONE,
        )
        return min(codes, key=order.index, default=cls.DONE)


class ProvisionError(Exception):
    """Something a person must know about: what is wrong, and the next step.

    `message` names the thing in one line; `hint` says what to do about it.
    """

    code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None, code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class Interrupted(ProvisionError):  # noqa: N818 - what happened, as a person says it
    """Somebody pressed Ctrl-C."""

    code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted", hint="what was started on the machines goes on; run the same again")


class UsageError(ProvisionError):
    """The command line, a profile or an inventory asks for something that does not exist."""

    code = ExitCode.USAGE
