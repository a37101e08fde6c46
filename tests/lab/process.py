"""The lab's one place that starts subprocesses, and its one kind of error."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence


class LabError(Exception):
    """The lab cannot do what was asked; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


class CommandError(LabError):
    """A command ended with a status other than 0; `result` is what it left."""

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        output = (result.stderr.strip() or result.stdout.strip()).splitlines()[-15:]
        super().__init__(f"`{shlex.join(result.args)}` ended with {result.returncode}", "\n".join(output))
        self.result = result


def run(
    argv: Sequence[str],
    *,
    input: str | bytes | None = None,  # noqa: A002
    check: bool = True,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv`; output is text. CommandError on a bad status, LabError when it is missing or outlasts
    `timeout` seconds. Without `input`, standard input is empty rather than the caller's."""
    command = [str(argument) for argument in argv]
    raw = input.encode() if isinstance(input, str) else input
    try:
        done = subprocess.run(
            command,
            input=raw if raw is not None else b"",
            capture_output=True,
            timeout=timeout,
            env=env,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"`{command[0]}` is not installed", "python -m tests.lab prepare") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shlex.join(command)}` did not end within {timeout:g} s") from error
    result = subprocess.CompletedProcess(
        command,
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )
    if check and result.returncode != 0:
        raise CommandError(result)
    return result
