"""Being there: a box's run lock and its jobs' progress, for as long as we live and can be heard."""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provisioner.engine.events import Event, Kind
from provisioner.engine.run import Sink
from provisioner.engine.survey import Surveyed
from provisioner.errors import ProvisionError
from provisioner.hosts.errors import Busy
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Channel, Privilege, Transport

# The box takes a controller for dead that it has not heard for so long: a network that just stops, or a
# machine that loses its power, closes no connection, and would leave the lock held for hours.
SILENCE_SECONDS = 30.0
BEAT_SECONDS = 5.0
AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Attended:
    """A box whose lock is wanted: how to reach it, as whom, and the folder that holds the lock."""

    transport: Transport
    state: str
    privilege: Privilege

    @classmethod
    def planned(cls, host: Surveyed) -> Attended:
        """A box that has a plan: root where that needs it."""
        scope = host.plan.scope
        return cls(host.transport, host.plan.places.state, "auto" if scope == "system" else "none")


class Attendance:
    """Holds a box's run lock and passes its jobs' progress on, until it is closed or we die.

    A connection that breaks meanwhile is made again, and the lock taken again with it: Ansible, too, goes on
    over a new one.
    """

    def __init__(self, host: Attended, run: str, sink: Sink) -> None:
        """Take the lock. Raises Busy naming who holds it, or what went wrong on the way there."""
        self._host, self._sink = host, sink
        self._name = host.transport.target.name
        self._request = {
            "state": host.state,
            "holder": {"who": f"{_user()}@{socket.gethostname()}", "run": run},
            "silence": SILENCE_SECONDS,
        }
        self._over = threading.Event()
        self._changing = threading.Lock()
        self._channel, answers = self._take()
        self._threads = [
            threading.Thread(target=self._watch, args=(answers,), daemon=True),
            threading.Thread(target=self._beat, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Give the lock back."""
        with self._changing:
            self._over.set()
            self._channel.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _take(self) -> tuple[Channel, Iterator[dict[str, Any]]]:
        """The lock's channel, and what the box says on it. Raises Busy, and the errors of `hosts.errors`."""
        channel = self._host.transport.stream("probe.attend", self._request, privilege=self._host.privilege)
        answers = iter(channel)
        first: Mapping[str, Any] = next(answers, {})
        if first.get("lock") == "held":
            return channel, answers
        channel.close()
        holder = first.get("holder") or {}
        raise Busy(
            f"{self._name}: another run is at work there: {holder.get('who', 'unknown')}",
            holder=dict(holder),
            hint="wait until it ends, then run the same again",
        )

    def _watch(self, answers: Iterator[dict[str, Any]]) -> None:
        """Pass progress on. What a broken connection means for the run, Ansible finds out and says."""
        self._pass_on(answers)
        while not self._over.wait(AGAIN_SECONDS):
            try:
                channel, answers = self._take()
            except Busy as busy:
                self._say(busy.message)
                return
            except ProvisionError:
                continue
            with self._changing:
                if self._over.is_set():
                    channel.close()
                    return
                self._channel.close()
                self._channel = channel
            self._pass_on(answers)

    def _pass_on(self, answers: Iterator[dict[str, Any]]) -> None:
        try:
            for answer in answers:
                if answer.get("progress"):
                    self._sink(Event(Kind.PROGRESS, self._name, data=answer["progress"]))
        except ProvisionError as error:
            self._say(error.message)

    def _say(self, message: str) -> None:
        if not self._over.is_set():
            text = message.removeprefix(f"{self._name}: ")
            self._sink(Event(Kind.PROGRESS, self._name, data={"job": "progress", "phase": text}))

    def _beat(self) -> None:
        """Let the box hear that we live."""
        while not self._over.wait(BEAT_SECONDS):
            with self._changing:
                self._channel.beat()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that /etc/passwd does not know; OSError since 3.13
        return str(os.getuid())


def attend_all(
    hosts: Mapping[str, Attended], run: str, sink: Sink
) -> tuple[dict[str, Attendance], dict[str, ProvisionError]]:
    """The locks of all hosts at once, and why there are none for the others."""
    held: dict[str, Attendance] = {}
    refused: dict[str, ProvisionError] = {}

    def attend(name: str) -> None:
        try:
            held[name] = Attendance(hosts[name], run, sink)
        except ProvisionError as error:
            refused[name] = error

    at_once(attend, list(hosts))
    return held, refused
