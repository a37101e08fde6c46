"""What `provision down` found, took off and left, as plain data, in words, and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from provisioner.errors import ExitCode
from provisioner.report import words
from provisioner.report.frame import Frame
from provisioner.secrecy import without_logins


class Status(StrEnum):
    """How a host ended, in words that stand in a sentence."""

    NOTHING = "nothing to take off"
    WOULD = "would take off"
    DONE = "taken off"
    RESTART = "restart needed"
    REFUSED = "refused"
    FAILED = "failed"


_CODES = {
    Status.NOTHING: ExitCode.DONE,
    Status.WOULD: ExitCode.DRIFT,
    Status.DONE: ExitCode.DONE,
    Status.RESTART: ExitCode.REBOOT_REQUIRED,
    Status.REFUSED: ExitCode.FAILED,
    Status.FAILED: ExitCode.FAILED,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes, or comes back; `bytes` become free."""

    role: str
    what: str
    bytes: int
    done: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that stays, and why."""

    role: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Undone:
    """What is to be done, or was done, in one scope of a host."""

    scope: str
    state: str
    roles: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    kept: tuple[Kept, ...] = ()
    refused: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()
    reboot: str | None = None

    @classmethod
    def of(cls, scope: str, state: str, value: Mapping[str, Any]) -> Undone:
        """From the answer of the entry `system.undo`."""
        return cls(
            scope,
            state,
            tuple(value["roles"]),
            tuple(Step(**step) for step in value["steps"]),
            tuple(Kept(**kept) for kept in value["kept"]),
            tuple(value["refused"]),
            tuple(value["ending"]),
            value["reboot"],
        )


@dataclass(frozen=True)
class DownHost:
    """A host: what goes in each scope, and how it ended. `machine` describes it; seconds of wall time."""

    name: str
    status: Status
    machine: str = ""
    scopes: tuple[Undone, ...] = ()
    error: str | None = None
    hint: str | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """What this host alone would make the command exit with."""
        return _CODES[self.status]

    @property
    def bytes(self) -> int:
        """What becomes free."""
        return sum(step.bytes for one in self.scopes for step in one.steps)

    @property
    def reboot(self) -> str | None:
        """Why a restart is needed to be as before."""
        return next((one.reboot for one in self.scopes if one.reboot), None)


@dataclass(frozen=True)
class DownResult(Frame[DownHost]):
    """One call of the verb `down` over its hosts."""

    def hosts_json(self) -> list[dict[str, Any]]:
        """Each host of the document."""
        return [_host_json(host) for host in self.hosts]


def _host_json(host: DownHost) -> dict[str, Any]:
    return {
        "name": host.name,
        "status": host.status.value,
        "exit_code": int(host.exit_code),
        "error": without_logins(host.error) if host.error else None,
        "hint": host.hint,
        "reboot": host.reboot,
        "bytes": host.bytes,
        "seconds": round(host.seconds, 3),
        "scopes": [asdict(one) for one in host.scopes],
    }


def listed(host: DownHost, *, done: bool = False) -> Iterator[str]:
    """What goes, what comes back and what stays, a line each; the host's name is not in them."""
    for one in host.scopes:
        for job in one.ending:
            yield f"  {'ended' if done else 'will end'} the job {job}"
        for role in one.roles:
            yield f"  {role}"
            mine = [step for step in one.steps if step.role == role]
            for step in mine:
                freed = f" ({words.size(step.bytes)})" if step.bytes else ""
                yield f"    {step.what}{freed}"
            if not mine:
                yield "    its receipt, and nothing else"
        for kept in one.kept:
            yield f"  stays: {kept.what}: {kept.why}"
        for sentence in one.refused:
            yield f"  refused: {sentence}"
    if host.bytes:
        yield f"  {words.size(host.bytes)} {'are' if done else 'become'} free"


def ending(host: DownHost) -> str:
    """How a host ended, in one line without its name."""
    match host.status:
        case Status.NOTHING:
            return "nothing to take off"
        case Status.WOULD:
            return f"would take off {', '.join(_roles(host))}; nothing was touched"
        case Status.DONE:
            return f"taken off in {words.duration(host.seconds)}: {', '.join(_roles(host))}"
        case Status.RESTART:
            return f"taken off, and it needs a restart to be as before: {host.reboot}"
        case Status.REFUSED | Status.FAILED:
            return without_logins(str(host.error)).removeprefix(f"{host.name}: ")


def _roles(host: DownHost) -> list[str]:
    return [role for one in host.scopes for role in one.roles]


def next_step(host: DownHost) -> str | None:
    """What to do now, when there is something to do."""
    if host.status is Status.RESTART:
        return "restart it: what runs until then is what provision had put there"
    return host.hint


def write_down_page(result: DownResult, path: Path) -> None:
    """Render the result to `path`, as one page that needs no network and no script."""
    from provisioner.report.page import write

    write("down.html.j2", path, result=result, listed=listed, ending=ending, next_step=next_step)
