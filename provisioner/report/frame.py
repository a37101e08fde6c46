"""What every call of a verb over hosts comes to: its exit code, and the frame of its JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from provisioner.errors import ExitCode, ProvisionError
from provisioner.secrecy import without_logins

SCHEMA = 1


class Ended(Protocol):
    """A host that came to an ending."""

    @property
    def exit_code(self) -> ExitCode:
        """What this host alone would make the command exit with."""


Host = TypeVar("Host", bound=Ended)


@dataclass(frozen=True)
class Frame(Generic[Host]):
    """`folder` holds the journal and the report of a run that acted.

    `error` is what ended the whole run before its hosts had come to their own endings: an interrupt, say.
    """

    verb: str
    hosts: Sequence[Host]
    run: str | None = None
    folder: str | None = None
    seconds: float = 0.0
    error: ProvisionError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The worst of the hosts', or that of what ended the run."""
        if self.error is not None:
            return self.error.code
        return ExitCode.worst([host.exit_code for host in self.hosts])

    def hosts_json(self) -> list[dict[str, Any]]:
        """Each host of the document."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The documented JSON document, schema 1 (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "verb": self.verb,
            "exit_code": int(self.exit_code),
            "error": without_logins(self.error.message) if self.error else None,
            "hint": self.error.hint if self.error else None,
            "run": self.run,
            "folder": self.folder,
            "seconds": round(self.seconds, 3),
            "hosts": self.hosts_json(),
        }
