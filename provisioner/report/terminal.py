"""Everything a person sees on a terminal goes through here, so that it can be compared whole in a test."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from provisioner.engine.events import Event, Kind
from provisioner.report import words
from provisioner.report.result import HostResult, RunResult, Status

if TYPE_CHECKING:
    from rich.live import Live

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
_COLOURS = {
    Status.CONVERGED: _GREEN,
    Status.DONE: _GREEN,
    Status.ANSWERED: _GREEN,
    Status.WOULD_CHANGE: _YELLOW,
    Status.DRIFTED: _YELLOW,
    Status.REBOOT: _YELLOW,
    Status.IMPOSSIBLE: _RED,
    Status.BLOCKED: _RED,
    Status.FAILED: _RED,
}
_TONES = {"bad": _RED, "doubt": _YELLOW, "dim": _DIM, "good": _GREEN, "bold": _BOLD}
# Without a terminal a long download says how far it is this often, in seconds.
_PLAIN_PROGRESS_EVERY = 10.0


class Terminal:
    """Writes lines; on a real terminal it also keeps one live line a busy host below them."""

    def __init__(self, stream: TextIO, *, live: bool | None = None) -> None:
        self._stream = stream
        self._live_wanted = stream.isatty() if live is None else live
        self._colour = self._live_wanted and not os.environ.get("NO_COLOR")
        self._live: Live | None = None
        self._busy: dict[str, str] = {}
        self._role: dict[str, str] = {}
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    # What was found and what will change

    def found(self, host: HostResult) -> None:
        """A machine, what was chosen for it and why, and what differs from that."""
        if host.facts is not None:
            self.line(f"{self._bold(host.name)}  {words.machine(host.facts)}")
        if host.plan is not None:
            self.line(f"  {host.plan.profile.name}: {host.plan.profile.summary}")
            for note in host.plan.notes:
                self.line(f"  {note}")

    def findings(self, host: HostResult) -> None:
        """What preflight found that a person should know before anything is changed: what blocks, in full."""
        if host.preflight is None:
            return
        from provisioner.report.preflight_words import brief

        for line in brief(host.preflight.findings):
            self.line(f"  {self._paint(_TONES.get(line.tone, ''), line.mark)}{line.text}")

    def changes(self, host: HostResult, verb: str = "will run") -> None:
        """The roles that will run, and why."""
        bare = host.facts is not None and host.facts.python is None
        for drift in host.drift[:1] if bare else host.drift:
            if drift.status != "clean":
                self.line(f"  {verb} {drift.role}: {words.role_work(host, drift)}")
        ahead = words.restart_needed(host)
        if ahead:
            self.line(f"  {ahead}")

    def drift(self, host: HostResult) -> None:
        """Every difference, item by item."""
        for drift in host.drift:
            for item in drift.items:
                self.line(f"  {drift.status:8} {item.id}: {item.what}")

    # While it happens

    def event(self, event: Event) -> None:
        """Show one event: a line when a role starts or a task fails, else the live line."""
        with self._lock:
            if event.kind is Kind.PROGRESS:
                self._progress(event.host, event.data)
                return
            if event.role and self._role.get(event.host) != event.role and event.kind is Kind.STARTED:
                self._role[event.host] = event.role
                self.line(f"{event.host}  {event.role}")
            if event.kind is Kind.SAID:
                for text in event.message.splitlines():
                    self.line(f"{event.host}    {text}")
            elif event.kind is Kind.STARTED and event.task:
                self._show(event.host, event.task)
            elif event.kind in (Kind.FAILED, Kind.UNREACHABLE):
                # Why, and what to do about it, is said once: when the host's ending is told.
                self.line(f"{event.host}  {self._paint(_RED, event.kind)}: {event.task}")

    def _progress(self, host: str, data: Mapping[str, Any]) -> None:
        text = f"{data.get('job', '')}: {words.progress(data)}"
        if self._live_wanted:
            self._show(host, text)
        elif time.monotonic() - self._said.get(host, -_PLAIN_PROGRESS_EVERY) >= _PLAIN_PROGRESS_EVERY:
            self._said[host] = time.monotonic()
            self.line(f"{host}    {text}")

    def _show(self, host: str, text: str) -> None:
        if not self._live_wanted:
            return
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        self._busy[host] = text
        if self._live is None:
            self._live = Live(console=Console(file=self._stream), refresh_per_second=8, transient=True)
            self._live.start()
        lines = [
            Text(f"  {name}  {doing}", no_wrap=True, overflow="ellipsis")
            for name, doing in self._busy.items()
        ]
        self._live.update(Group(*lines))

    def settle(self) -> None:
        """The live lines go away; what was said stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._busy.clear()

    # How it ended

    def ended(self, host: HostResult) -> None:
        """How a host ended and what to do next."""
        self.line(f"{self._bold(host.name)}  {self._paint(_COLOURS[host.status], words.ending(host))}")
        step = words.next_step(host)
        if step:
            self.line(f"  next: {step}")
        if host.exit_code == 0:
            for text in (*words.smoke(host), *filter(None, [words.reached(host)])):
                self.line(f"  {text}")

    def closing(self, result: RunResult) -> None:
        """The line that sums up, and where the report is."""
        if len(result.hosts) > 1:
            self.line(words.closing(result))
        if result.folder:
            self.line(f"report: {result.folder}/report.html")

    def line(self, text: str) -> None:
        """One line, above the live ones."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _bold(self, text: str) -> str:
        return self._paint(_BOLD, text)

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{_OFF}" if self._colour and code else text
