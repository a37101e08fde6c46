"""The one place that starts subprocesses."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

_EXIT_POLL = 0.02
_GRACE = 1.0


@dataclass(frozen=True)
class Finished:
    """A process that has ended; `code` is negative for a signal."""

    code: int
    stdout: bytes
    stderr: bytes


class TimedOut(Exception):  # noqa: N818
    """The process was ended after `seconds`; what it had written until then is kept."""

    def __init__(self, seconds: float, stdout: bytes, stderr: bytes) -> None:
        super().__init__(f"no end after {seconds:g} s")
        self.seconds = seconds
        self.stdout = stdout
        self.stderr = stderr


class Child(Protocol):
    """A process that runs beside us, spoken to through pipes."""

    def lines(self) -> Iterator[bytes]:
        """Its output, a line at a time, until it closes it."""

    def send(self, data: bytes) -> None:
        """Write to its input; nothing happens when it reads no more."""

    def close(self, timeout: float) -> Finished:
        """Close its input, wait `timeout` seconds, then end it. `stdout` is empty: `lines` had it."""


class Runner(Protocol):
    """Starts processes. Raises FileNotFoundError for a program that is not there."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run to its end; `TimedOut` after `timeout` seconds. `env` is laid over the present one."""

    def start(self, argv: Sequence[str], *, stdin: bytes = b"") -> Child:
        """Start it, write `stdin`, leave its input open."""


class RealRunner:
    """Each process leads a group of its own, so that its end is the end of all it started."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
        try:
            return _Conversation(process, stdin).finish(timeout)
        finally:
            _end(process)

    def start(self, argv: Sequence[str], *, stdin: bytes = b"") -> Child:
        return _RealChild(argv, stdin)


class _Conversation:
    """Feeds one process and collects what it says until it exits.

    Not `Popen.communicate`: that waits until the pipes close, and an ssh client that has just become the
    shared connection of later ones keeps its standard error open for as long as that lives.
    """

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._process = process
        self._stdin = process.stdin
        self._left = memoryview(stdin)
        self._said: dict[int, bytearray] = {}
        self._out, self._err = process.stdout.fileno(), process.stderr.fileno()
        self._selector = selectors.DefaultSelector()
        for fd in (self._out, self._err):
            os.set_blocking(fd, False)
            self._said[fd] = bytearray()
            self._selector.register(fd, selectors.EVENT_READ)
        os.set_blocking(self._stdin.fileno(), False)
        self._selector.register(self._stdin.fileno(), selectors.EVENT_WRITE)

    def finish(self, timeout: float | None) -> Finished:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._selector:
            while (code := self._process.poll()) is None:
                if deadline is not None and timeout is not None and time.monotonic() > deadline:
                    raise TimedOut(timeout, *self._text())
                if not self._selector.get_map():
                    time.sleep(_EXIT_POLL)
                    continue
                for key, _ in self._selector.select(_EXIT_POLL):
                    self._serve(key.fd)
            for fd in (self._out, self._err):
                while self._read(fd):
                    pass
        return Finished(code, *self._text())

    def _serve(self, fd: int) -> None:
        if fd in self._said:
            self._read(fd)
            return
        try:
            self._left = self._left[os.write(fd, self._left[:65536]) :] if self._left else self._left
        except BrokenPipeError:
            # It did not want all of its input; its exit code and its words tell why.
            self._left = self._left[:0]
        except BlockingIOError:
            return
        if not self._left:
            self._selector.unregister(fd)
            self._stdin.close()

    def _read(self, fd: int) -> bool:
        """Whether there may be more right now."""
        try:
            said = os.read(fd, 65536)
        except BlockingIOError:
            return False
        self._said[fd] += said
        if not said and fd in self._selector.get_map():
            self._selector.unregister(fd)
        return bool(said)

    def _text(self) -> tuple[bytes, bytes]:
        return bytes(self._said[self._out]), bytes(self._said[self._err])


class _RealChild:
    def __init__(self, argv: Sequence[str], stdin: bytes) -> None:
        self._finished: Finished | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        assert self._process.stdin
        try:
            self._process.stdin.write(stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            # It is gone already: reading its output finds the end, and `close` says why.
            pass
        except BaseException:
            _end(self._process)
            self._errors.close()
            raise

    def lines(self) -> Iterator[bytes]:
        assert self._process.stdout
        while self._finished is None:
            line = self._process.stdout.readline()
            if not line:
                return
            yield line

    def send(self, data: bytes) -> None:
        assert self._process.stdin
        if self._finished is None:
            # That it has gone is found by reading its output.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def close(self, timeout: float) -> Finished:
        assert self._process.stdin
        if self._finished is None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            _end(self._process)
            with self._errors:
                self._errors.seek(0)
                self._finished = Finished(self._process.wait(), b"", self._errors.read())
        return self._finished


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, politely first, and close our ends of its pipes."""
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                process.wait(_GRACE)
                break
            except subprocess.TimeoutExpired:
                continue
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
