"""Audit machines and judge what was read: what they are, and not what is planned for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from provisioner.errors import ProvisionError
from provisioner.hosts.gather import probe_all
from provisioner.hosts.transport import Transport
from provisioner.preflight.needs import ALONE, Needs
from provisioner.preflight.request import ENTRY, probe_request

if TYPE_CHECKING:
    from provisioner.preflight.purpose import Purpose
    from provisioner.report.preflight import PreflightHost

# What judges and tells: 60 ms to load, which nobody need wait for.
_JUDGES = ("provisioner.preflight.judge", "provisioner.report.preflight_words")

RECORDED = "recorded"
PACKAGES = "software.packages"


@dataclass(frozen=True)
class Terms:
    """How to judge. `purpose` None: inferred of each machine. `ignore`: rules that may not block. `network`:
    whether each machine is to ask its mirrors for an answer. `bench`: whether rates are measured, four
    seconds of it. `packages`: whether the package database is read, which takes longest of what is on disk.
    """

    purpose: Purpose | None = None
    ignore: tuple[str, ...] = ()
    strict: bool = False
    network: bool = True
    needs: Needs = ALONE
    bench: bool = False
    packages: bool = True


def audit_all(transports: Sequence[Transport], terms: Terms) -> list[PreflightHost]:
    """Audit all machines at once and judge each. One that cannot be reached is a result, not an exception."""
    started = time.monotonic()
    ways = {way.target.name: way for way in transports}
    asked = request(terms)
    preparing = threading.Thread(target=_prepare, daemon=True)
    preparing.start()
    answers = probe_all(ways, asked, entry=ENTRY)
    seconds = time.monotonic() - started
    # msgspec works out a class's shape once, and crashes where two threads do so at the same time.
    preparing.join()
    return [judged(name, answer, terms, seconds) for name, answer in answers.items()]


def _prepare() -> None:
    """Load what judges and tells, and have the shape of Facts worked out, while machines are being asked."""
    import msgspec

    from provisioner.facts import Facts

    msgspec.json.Decoder(Facts)
    for name in _JUDGES:
        import_module(name)


def audit_recorded(root: str, terms: Terms) -> PreflightHost:
    """The same of a recorded machine's folder, through the same code, in this process."""
    from provisioner.target.probe.audit import main

    started = time.monotonic()
    answer = main({**request(terms), "root": root})
    return judged(str(answer["hostname"]) or RECORDED, answer, terms, time.monotonic() - started)


def request(terms: Terms) -> dict[str, Any]:
    """What the probe is asked on these terms."""
    asked = None
    if terms.network:
        from provisioner.profiles.mirrors import mirrors

        asked = mirrors()
    weights = terms.needs.weights
    return probe_request(
        [*([weights] if weights else []), *(["/usr"] if terms.needs.system_bytes else [])],
        asked,
        skip=[] if terms.packages else [PACKAGES],
        bench=weights if terms.bench else None,
    )


def judged(
    name: str, answer: Mapping[str, Any] | ProvisionError, terms: Terms, seconds: float = 0.0
) -> PreflightHost:
    """Facts → Findings, for one machine."""
    from provisioner.facts import Facts
    from provisioner.preflight.judge import preflight
    from provisioner.report.preflight import PreflightHost

    if isinstance(answer, ProvisionError):
        return PreflightHost(name, error=answer, seconds=seconds)
    try:
        facts = Facts.decode(answer)
    except ProvisionError as error:
        told = ProvisionError(f"{name}: {error.message}", hint=error.hint)
        return PreflightHost(name, error=told, seconds=seconds)
    if facts.audit is None:
        bare = ProvisionError(
            f"{name}: there is no Python 3.8 or later, without which nothing can be read there",
            hint="install python3 there first; provision up does that by itself",
        )
        return PreflightHost(name, facts, error=bare, seconds=seconds)
    found = preflight(facts, terms.needs, terms.purpose, ignore=terms.ignore)
    return PreflightHost(name, facts, found, seconds=seconds, strict=terms.strict, ignored=terms.ignore)
