"""The way to one machine: one request down, one answer or a stream of answers up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts import bundle
from provisioner.hosts.errors import NoSudo, ProbeFailed, Refused, Unreachable
from provisioner.hosts.process import Child, Finished, Runner, TimedOut
from provisioner.hosts.target import Target

Privilege = Literal["auto", "require", "none"]

CALL_SECONDS = 120.0
_CLOSE_SECONDS = 5.0
_STAGE = re.compile(rb"^PROVISION1-STAGE (yes|no) ([a-z-]+) (yes|no)$", re.MULTILINE)


@dataclass(frozen=True)
class Access:
    """What the user said about the way in, the same for every host."""

    ssh_config: str | None = None
    accept_new_host_keys: bool = False
    become_password: str | None = field(default=None, repr=False)


# What a shell can glance at where there is no Python; all else needs one.
GLANCES = ("probe", "probe.audit")


@dataclass(frozen=True)
class Standing:
    """What the last call ran as.

    `sudo`: unasked, root (no need of it), yes (without a password), password (it wants one, and got the right
    one if `root`), wrong-password, refused, tty, missing.
    """

    root: bool
    sudo: str
    python: bool


class Channel(Protocol):
    """An entry that goes on answering. Iterate it for its answers; `beat` shows it that we live; close it."""

    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def beat(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transport(Protocol):
    """Calls entries of provisioner/target on one machine (docs/architecture.md)."""

    target: Target
    standing: Standing | None

    def call(
        self,
        entry: str,
        request: dict[str, Any],
        *,
        privilege: Privilege = "auto",
        timeout: float | None = CALL_SECONDS,
    ) -> dict[str, Any]:
        """The entry's value. Raises the errors of `hosts.errors`, each naming the host; seconds."""

    def stream(self, entry: str, request: dict[str, Any], *, privilege: Privilege = "auto") -> Channel:
        """The entry's answers as they come. Errors of the start come at the first answer."""

    def forget(self) -> None:
        """End what is kept of the connection, so that the next call makes a new one: after a restart, say."""


class Way(Protocol):
    """What differs between SSH and this machine."""

    def argv(self, command: str) -> list[str]:
        """The program that has a shell run `command`."""

    def diagnose(self, target: Target, finished: Finished, /, *, arrived: bool) -> ProvisionError | None:
        """Why the way itself failed, or None when it did not."""

    def missing(self, name: str) -> ProvisionError:
        """The error for a program that is not installed here."""


@cache
def stage() -> str:
    """stage.sh as one line that any login shell carries in single quotes."""
    text = files("provisioner.hosts").joinpath("stage.sh").read_text("ascii")
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line and not line.startswith("#"))


def command(privilege: Privilege, user: str, python: str, *, password: bool) -> str:
    """The command line for a login shell: the stage with the loader and the settings as its arguments."""
    words = [stage(), "provision", bundle.loader(), privilege, user, python, "password" if password else ""]
    for word in words:
        if "'" in word or "\n" in word:
            raise UsageError(f"cannot carry {word!r} through a shell", hint="leave quotes out of it")
    return "exec sh -c " + " ".join(f"'{word}'" for word in words)


class PipedTransport:
    """A transport over anything that runs a command with pipes."""

    def __init__(self, target: Target, way: Way, runner: Runner, password: str | None = None) -> None:
        self.target = target
        self.standing: Standing | None = None
        self._way = way
        self._runner = runner
        self._password = target.become.password or password

    def call(
        self,
        entry: str,
        request: dict[str, Any],
        *,
        privilege: Privilege = "auto",
        timeout: float | None = CALL_SECONDS,
    ) -> dict[str, Any]:
        argv, stdin = self._prepare(entry, request, privilege)
        try:
            finished = self._runner.run(argv, stdin=stdin, timeout=timeout)
        except FileNotFoundError as error:
            raise self._way.missing(self.target.name) from error
        except TimedOut as error:
            raise Unreachable(
                f"{self.target.name}: no answer to {entry} within {error.seconds:g} s",
                hint="the box may be overloaded, or a disk or driver on it hangs: look at it by hand",
            ) from error
        return self.answer(entry, finished)

    def stream(self, entry: str, request: dict[str, Any], *, privilege: Privilege = "auto") -> Channel:
        argv, stdin = self._prepare(entry, request, privilege)
        try:
            child = self._runner.start(argv, stdin=stdin)
        except FileNotFoundError as error:
            raise self._way.missing(self.target.name) from error
        return _PipedChannel(self, entry, child)

    def forget(self) -> None:
        """Nothing is kept between two calls."""

    def _prepare(self, entry: str, request: dict[str, Any], privilege: Privilege) -> tuple[list[str], bytes]:
        become = self.target.become
        if become.wanted is not None and privilege == "auto":
            # The inventory has decided: ansible_become is a promise in both directions.
            privilege = "require" if become.wanted else "none"
        password = self._password if privilege != "none" else None
        python = str(self.target.variables.get("ansible_python_interpreter", ""))
        line = command(
            privilege,
            become.user,
            python if python.startswith("/") else "",
            password=password is not None,
        )
        secret = b"" if password is None else password.encode() + b"\n"
        return self._way.argv(line), secret * 2 + bundle.payload(entry, request)

    def answer(self, entry: str, finished: Finished) -> dict[str, Any]:
        """The value in what a finished process wrote; else the error, which names the host."""
        arrived = self.arrived(finished.stdout)
        try:
            answer = bundle.decode(bundle.frame(finished.stdout))
        except ProbeFailed as error:
            raise self.failure(entry, finished, error, arrived=arrived) from error
        value = self.unwrap(entry, answer)
        if self.standing and not self.standing.python and entry not in GLANCES:
            raise ProbeFailed(
                self.named("there is no Python 3.8 or later"), hint="install python3 there first"
            )
        return value

    def unwrap(self, entry: str, answer: dict[str, Any]) -> dict[str, Any]:
        try:
            return bundle.unwrap(answer)
        except NoSudo as error:
            raise self._no_sudo(error.message) from error
        except Refused as error:
            raise Refused(self.named(error.message), hint=error.hint) from error
        except ProbeFailed as error:
            raise ProbeFailed(
                self.named(f"{entry} crashed: {error.message}"),
                hint="this is a defect of provision: please report it with the trace",
                trace=error.trace,
            ) from error

    def arrived(self, stdout: bytes) -> bool:
        """Note what the stage said; whether it said anything."""
        found = _STAGE.search(stdout)
        if not found:
            return False
        root, sudo, python = (word.decode() for word in found.groups())
        self.standing = Standing(root == "yes", sudo, python == "yes")
        return True

    def named(self, message: str) -> str:
        return f"{self.target.name}: {message}"

    def failure(self, entry: str, finished: Finished, error: ProbeFailed, *, arrived: bool) -> ProvisionError:
        """The error for an answer that is not there, or not whole."""
        failed = self._way.diagnose(self.target, finished, arrived=arrived)
        if failed:
            return failed
        said = last_line(finished.stderr) or last_line(b"" if arrived else finished.stdout)
        by_hand = f"ssh {self.target.address} python3 -V" if self.target.address else "python3 -V"
        return ProbeFailed(
            self.named(f"{entry}: {error.message} (exit {finished.code}{': ' + said if said else ''})"),
            hint=f"see whether this works by hand: {by_hand}",
        )

    def _no_sudo(self, code: str) -> NoSudo:
        message, hint = _NO_SUDO.get(code, _NO_SUDO["refused"])
        user = self.target.user or "the login user"
        return NoSudo(self.named(message.format(user=user)), hint=hint)


_NO_SUDO = {
    "password": (
        "sudo asks for a password and none was given",
        "give it with -K (--ask-become-pass) or --become-password-file, or stay without root: --scope user",
    ),
    "wrong-password": (
        "sudo does not accept the password",
        "try again with -K (--ask-become-pass); --become-password-file wants the password and nothing else",
    ),
    "refused": (
        "{user} may not become root: sudo refuses",
        "log in as a user whom sudoers allows all commands, or stay without root: --scope user",
    ),
    "tty": (
        "sudo insists on a terminal (requiretty)",
        "let an admin add 'Defaults !requiretty' to sudoers, or stay without root: --scope user",
    ),
    "missing": (
        "{user} is not root and sudo is not installed",
        "log in as root, install sudo, or stay without root: --scope user",
    ),
}


class _PipedChannel:
    """Iterating raises what went wrong on the way; after `close` it just ends."""

    def __init__(self, transport: PipedTransport, entry: str, child: Child) -> None:
        self._transport = transport
        self._entry = entry
        self._child = child
        self._closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        before = b""
        for line in self._child.lines():
            if bundle.is_stream(line):
                self._transport.arrived(before)
                yield from self._items()
                return
            before += line
        if not self._closed:
            finished = self._child.close(_CLOSE_SECONDS)
            self._transport.answer(self._entry, replace(finished, stdout=before))
            raise ProbeFailed(self._transport.named(f"{self._entry} answers once and is no stream"))

    def _items(self) -> Iterator[dict[str, Any]]:
        broken = ProbeFailed("the stream broke off")
        for line in self._child.lines():
            if not line.endswith(b"\n"):
                break
            try:
                item = bundle.decode(line)
            except ProbeFailed as error:
                raise ProbeFailed(self._transport.named(f"{self._entry}: {error.message}")) from error
            if item.get("ok") is False:
                self._transport.unwrap(self._entry, item)
            yield item
        if self._closed:
            return
        finished = self._child.close(_CLOSE_SECONDS)
        if finished.code:
            raise self._transport.failure(self._entry, finished, broken, arrived=True)

    def beat(self) -> None:
        if not self._closed:
            self._child.send(b"\n")

    def close(self) -> None:
        self._closed = True
        self._child.close(_CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def last_line(text: bytes) -> str:
    """The last line with something on it, for a message."""
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
