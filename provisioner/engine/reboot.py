"""Restarts a machine over SSH and waits until it answers from another start."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from provisioner.engine.events import Event, Kind
from provisioner.engine.run import Sink
from provisioner.engine.survey import Surveyed
from provisioner.errors import ProvisionError
from provisioner.hosts.errors import HostKeyChanged, Refused
from provisioner.hosts.transport import Transport
from provisioner.report.result import Status

ENTRY = "system.restart"
# Big servers test their memory for minutes before they boot.
PATIENCE_SECONDS = 600.0
EVERY_SECONDS = 2.0
# A machine that hangs on its way down may take the connection and never answer.
LOOK_SECONDS = 60.0
# Services that are being started may be what the roles look at; one that never ends is nothing to wait for.
SETTLE_SECONDS = 120.0
# What systemctl says against a restart is there at once; a machine goes down in its own time.
REFUSAL_SECONDS = 15.0
# Driver and kernel options share one; what still asks after two does not get what it asks for by restarting.
MOST = 2


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float:
        """Seconds since any moment."""

    def sleep(self, seconds: float) -> None:
        """Return that much later."""


class _RealClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


CLOCK: Clock = _RealClock()


@dataclass(frozen=True)
class Restarts:
    """What a run may do about machines that need a restart: `elsewhere`, over SSH, it sees to it itself, and
    waits `patience` seconds at most.
    """

    elsewhere: bool = True
    patience: float = PATIENCE_SECONDS

    def may(self, host: Surveyed) -> bool:
        """Whether this host is restarted by the run itself. Windows alone restarts what it runs."""
        facts = host.result.facts
        return self.elsewhere and is_elsewhere(host.transport) and not (facts and facts.os.wsl)


BY_THE_RUN = Restarts()


def is_elsewhere(transport: Transport) -> bool:
    """Whether a machine can be restarted without ending this run."""
    return transport.target.connection == "ssh"


def held_up(hosts: Sequence[Surveyed], restarts: Restarts) -> list[Surveyed]:
    """The same hosts; those that wait for a restart which the run may not make end here: doing anything again
    before it would prove nothing.
    """

    def one(host: Surveyed) -> Surveyed:
        waits = host.result.status is Status.DRIFTED and host.result.restart is not None
        if not waits or restarts.may(host):
            return host
        return replace(host, result=replace(host.result, status=Status.REBOOT))

    return [one(host) for host in hosts]


def restart(host: Surveyed, sink: Sink, *, patience: float, clock: Clock = CLOCK) -> None:
    """Restart a host and return once it answers again. Raises ProvisionError naming what went wrong."""
    name, transport, state = host.result.name, host.transport, host.plan.places.state

    def ask(do: str) -> dict[str, Any]:
        return transport.call(ENTRY, {"do": do, "state": state}, timeout=LOOK_SECONDS)

    before = str(ask("look")["boot"])
    if not before:
        raise ProvisionError(
            f"{name}: it does not tell one start of it from the next (its boot id cannot be read)",
            hint="restart it, then run the same again",
        )
    sink(Event(Kind.SAID, name, message=f"restarts: {host.result.restart}"))
    ask("restart")
    _wait(name, before, lambda: ask("look"), transport.forget, sink, patience, clock)


def _wait(
    name: str,
    before: str,
    look: Callable[[], dict[str, Any]],
    forget: Callable[[], None],
    sink: Sink,
    patience: float,
    clock: Clock,
) -> None:
    began = clock.now()
    lost: ProvisionError | None = None
    back: float | None = None
    while (waited := clock.now() - began) < patience:
        # A connection from before, or one that the machine took on its way down, would only hang.
        forget()
        clock.sleep(EVERY_SECONDS)
        sink(Event(Kind.PROGRESS, name, data={"job": "restart", "phase": f"restarting … {waited:.0f} s"}))
        try:
            seen = look()
        except HostKeyChanged:
            raise
        except ProvisionError as error:
            lost = error
            continue
        if seen["boot"] != before:
            back = clock.now() if back is None else back
            if not seen["starting"] or clock.now() - back >= SETTLE_SECONDS:
                return
        elif seen["said"] and clock.now() - began >= REFUSAL_SECONDS:
            raise Refused(
                f"{name}: it does not restart: {seen['said'].splitlines()[-1]}",
                hint="restart it by hand, then run the same again",
            )
        lost = None
    if back is None:
        raise _late(name, patience, lost)


def _late(name: str, patience: float, lost: ProvisionError | None) -> ProvisionError:
    """Why a machine is not back: it does not answer, or it never went down."""
    minutes = f"{patience / 60:.0f} min" if patience >= 60 else f"{patience:.0f} s"
    if lost is None:
        return ProvisionError(
            f"{name}: it has not restarted within {minutes}: it answers, and from the same start",
            hint="see `systemctl list-jobs` there, restart it by hand, then run the same again",
        )
    why = lost.message.removeprefix(f"{name}: ")
    return ProvisionError(
        f"{name}: it did not come back within {minutes} of its restart: {why}",
        hint="look at its console and its power; once it answers, run the same again",
    )
