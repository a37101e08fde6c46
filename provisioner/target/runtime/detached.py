"""A forked child that lets go of the connection it came by, and lives on."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any, Sequence


def let_go(log: str, keep: Sequence[int]) -> None:
    """In the child: its own session, its own log for what it prints, and no descriptor of ours but `keep`."""
    os.setsid()
    for name in ("SIGTERM", "SIGINT", "SIGPIPE", "SIGCHLD"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (written, 1), (written, 2)):
        os.dup2(source, target)
    _close_all_but(keep)
    sys.stdout, sys.stderr = _text_to(1), _text_to(2)
    os.umask(0o022)


def _text_to(descriptor: int) -> Any:
    """A text stream that writes each line at once: a killed job must not take its last words along."""
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=True)


def _close_all_but(keep: Sequence[int]) -> None:
    """A connection's pipe kept open would keep the connection open."""
    first = 3
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 4096)
