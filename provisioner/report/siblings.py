"""Machines that should be the same, and in what they are not: often a setting that one of them lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioner.audit import Audit, Reading
from provisioner.facts import Facts
from provisioner.preflight.finding import Finding, worst_first
from provisioner.report import words
from provisioner.report.preflight import PreflightHost, called, concerns

NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """Something that is not the same everywhere: each value, with the machines that have it, most first."""

    what: str
    values: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Siblings:
    """Machines with the same board and the same GPUs."""

    machine: str
    hosts: tuple[str, ...]
    differences: tuple[Difference, ...]


def siblings(hosts: Sequence[PreflightHost]) -> list[Siblings]:
    """Each group of at least two. A machine whose board cannot be seen has none."""
    groups: dict[str, list[PreflightHost]] = {}
    for host in hosts:
        kind = _kind(host)
        if kind:
            groups.setdefault(kind, []).append(host)
    return [
        Siblings(kind, tuple(host.name for host in group), tuple(_differences(group)))
        for kind, group in groups.items()
        if len(group) > 1
    ]


def _kind(host: PreflightHost) -> str:
    """Board and GPUs in words; "" where they are not known."""
    if host.found is None or host.facts is None or host.facts.audit is None:
        return ""
    board = host.facts.audit.firmware.board.value
    if board is None:
        return ""
    name = f"{board.board_vendor or board.sys_vendor} {board.board_name or board.product_name}".strip()
    gpus = Counter(gpu.name or f"NVIDIA {gpu.device}" for gpu in host.facts.gpus)
    cards = ", ".join(f"{count} × {card}" for card, count in sorted(gpus.items()))
    return f"{name} with {cards or 'no NVIDIA GPU'}" if name else ""


def _differences(group: Sequence[PreflightHost]) -> Iterator[Difference]:
    for said in (_machines(group), _verdicts(group)):
        for what in dict.fromkeys(key for one in said.values() for key in one):
            by: dict[str, list[str]] = {}
            for name, one in said.items():
                by.setdefault(one.get(what, NOTHING), []).append(name)
            if len(by) > 1:
                most = sorted(by.items(), key=lambda entry: -len(entry[1]))
                yield Difference(what, tuple((value, tuple(names)) for value, names in most))


def _machines(group: Sequence[PreflightHost]) -> dict[str, dict[str, str]]:
    """What each machine is, thing by thing."""
    found: dict[str, dict[str, str]] = {}
    for host in group:
        facts, audit = host.facts, host.facts.audit if host.facts else None
        assert facts is not None
        assert audit is not None
        said = {what: look(facts, audit) for what, look in _FACTS.items()}
        settings = audit.firmware.settings.value or {}
        said.update({f"firmware setting {name}": value for name, value in sorted(settings.items())})
        found[host.name] = {what: value for what, value in said.items() if value}
    return found


def _verdicts(group: Sequence[PreflightHost]) -> dict[str, dict[str, str]]:
    """What each check says of each machine, of the checks that found something on one of them."""
    worst: dict[str, dict[str, Finding]] = {host.name: {} for host in group}
    for host in group:
        for one in worst_first(host.findings):
            worst[host.name].setdefault(one.id, one)
    found = worst_first([one for ones in worst.values() for one in concerns(list(ones.values()))])
    return {
        name: {one.id: _said(ones[one.id]) for one in found if one.id in ones} for name, ones in worst.items()
    }


def _said(one: Finding) -> str:
    mark, _ = called(one)
    return f"{mark}: {one.observed}" if one.observed and mark != "fine" else mark


def _word(reading: Reading[Any]) -> str:
    return "" if reading.value is None else str(reading.value)


def _modules(audit: Audit) -> str:
    kinds = Counter(
        f"{words.gibibytes(one.bytes)} {one.kind}".strip()
        + (f" at {one.configured} MT/s" if one.configured else "")
        for one in audit.ram.dimms.value or ()
        if one.bytes
    )
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))


def _links(facts: Facts, audit: Audit) -> str:
    devices = {device.address: device.link.value for device in audit.slots.devices.value or ()}
    widths = [link.width for gpu in facts.gpus if (link := devices.get(gpu.address)) and link.width]
    return ", ".join(f"x{width}" for width in widths)


def _board(audit: Audit) -> str:
    board = audit.firmware.board.value
    return f"{board.bios_version} {board.bios_date}".strip() if board else ""


_FACTS: Mapping[str, Callable[[Facts, Audit], str]] = {
    "firmware version": lambda _, audit: _board(audit),
    "system": lambda facts, _: facts.os.pretty,
    "kernel": lambda facts, _: facts.os.kernel,
    "driver": lambda facts, _: facts.driver_version or "",
    "processor": lambda facts, _: facts.cpu.model,
    "memory modules": lambda _, audit: _modules(audit),
    "slots of the GPUs": _links,
    "boot mode": lambda _, audit: _word(audit.firmware.boot_mode),
    "Secure Boot": lambda _, audit: {"0": "off", "1": "on"}.get(_word(audit.firmware.secure_boot), ""),
    "kernel options for the IOMMU": lambda _, audit: " ".join(audit.iommu.options.value or ()),
}
