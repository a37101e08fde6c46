"""The run journal: everything needed to understand a run afterwards and to do it again."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from provisioner import __version__
from provisioner.engine.events import Event, Kind


def runs_dir() -> Path:
    """Where runs are kept: $XDG_STATE_HOME/provision/runs."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "provision" / "runs"


def new_run_id(now: float | None = None) -> str:
    """A name for a run that sorts by time and is unique on this machine."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return f"{stamp}-{os.getpid()}"


class Journal:
    """Events as they happen in `events.jsonl`; the whole run in `journal.json` at its end.

    Secrets never reach it: it gets plans (which leave them out) and events (which Ansible censors).
    Bytes of a box's output or of our command line that are no UTF-8 come as lone surrogates, and are escaped.
    """

    def __init__(self, run: str, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._events = (folder / "events.jsonl").open("a", encoding="utf-8", errors="backslashreplace")
        self._started = time.time()

    @classmethod
    def open(cls, run: str) -> Journal:
        """A journal in the standard place."""
        return cls(run, runs_dir() / run)

    def event(self, event: Event) -> None:
        """Append one event; progress is shown, not kept."""
        if event.kind is not Kind.PROGRESS:
            self._events.write(json.dumps(asdict(event), ensure_ascii=False) + "\n")
            self._events.flush()

    def close(self, content: Mapping[str, Any]) -> Path:
        """Write the whole run and return the file."""
        self._events.close()
        path = self.folder / "journal.json"
        whole = {
            "schema": 1,
            "run": self.run,
            "tool": __version__,
            "python": platform.python_version(),
            "started_at": self._started,
            "ended_at": time.time(),
            **content,
        }
        path.write_text(
            json.dumps(whole, ensure_ascii=False, indent=1), encoding="utf-8", errors="backslashreplace"
        )
        return path
