"""Many machines at once: checks by machines, a word each, and what several have alike told once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provisioner.preflight.finding import Finding, worst_first
from provisioner.report import preflight_words as words
from provisioner.report.preflight import PreflightHost, called, concerns
from provisioner.report.preflight_words import WIDTH, Line
from provisioner.report.siblings import Siblings, siblings

# Words of a cell that need nobody's eye.
GOOD = ("fine", "note", "")
UNSEEN = ("unknown", "not here")


@dataclass(frozen=True)
class Row:
    """A check: its worst verdict on each machine, in a word; "" where it does not concern one."""

    id: str
    cells: tuple[str, ...]

    @property
    def unseen(self) -> bool:
        """Whether it was answered nowhere."""
        return all(cell in (*UNSEEN, "") for cell in self.cells)

    @property
    def by_word(self) -> dict[str, list[int]]:
        """The machines, by number, of each word but the good ones."""
        found: dict[str, list[int]] = {}
        for number, cell in enumerate(self.cells):
            if cell not in GOOD:
                found.setdefault(cell, []).append(number)
        return found


@dataclass(frozen=True)
class Shared:
    """A finding, and the machines that have it in the same words."""

    finding: Finding
    hosts: tuple[str, ...]


def matrix(hosts: Sequence[PreflightHost]) -> list[Row]:
    """The checks that are not good everywhere, the worst first."""
    worst: dict[str, dict[str, Finding]] = {}
    for host in hosts:
        for one in worst_first(host.findings):
            worst.setdefault(one.id, {}).setdefault(host.name, one)
    order = [one.id for one in worst_first([worst_first(list(ones.values()))[0] for ones in worst.values()])]
    rows = [
        Row(
            identity,
            tuple(
                called(worst[identity][host.name])[0] if host.name in worst[identity] else ""
                for host in hosts
            ),
        )
        for identity in order
    ]
    return [row for row in rows if any(cell not in GOOD for cell in row.cells)]


def shared(hosts: Sequence[PreflightHost]) -> list[Shared]:
    """What a person should act on, worst first; what several machines have alike is told once."""
    found: dict[object, tuple[Finding, dict[str, None]]] = {}
    for host in hosts:
        for one in concerns(host.findings):
            alike = (one.id, one.status, one.severity, one.summary, one.remedy)
            found.setdefault(alike, (one, {}))[1][host.name] = None
    by_finding = {id(one): names for one, names in found.values()}
    ordered = worst_first([one for one, _ in found.values()])
    return [Shared(one, tuple(by_finding[id(one)])) for one in ordered]


# For the terminal


def text(hosts: Sequence[PreflightHost], *, everything: bool = False, width: int = WIDTH) -> Iterator[Line]:
    """Several machines: one line each, the checks that differ from good, what differs between siblings, and
    what to do, each thing once. `everything`: each machine in full instead.
    """
    if everything:
        for host in hosts:
            yield from words.text(host, everything=True, width=width)
            yield Line("")
    for host in hosts:
        yield from _host(host, width)
    rows = matrix(hosts)
    yield from _matrix(hosts, [row for row in rows if not row.unseen], width)
    yield from _unseen([row for row in rows if row.unseen], width)
    yield from _siblings(siblings(hosts), width)
    if not everything:
        for one in shared(hosts):
            yield Line("")
            yield from words.finding(words.told(one.finding, hosts=one.hosts), width)
    yield Line("")
    ready = sum(host.standing in ("ready", "warned") and not host.too_many_warnings for host in hosts)
    yield Line(f"{ready} of {len(hosts)} machines are ready", tone="good" if ready == len(hosts) else "bad")


def _host(host: PreflightHost, width: int) -> Iterator[Line]:
    kind = f"  ({host.found.purpose})" if host.found else ""
    yield Line(f"{host.name}  {words.verdict(host)}", kind, words.tone(host))
    if host.error is not None and host.error.hint:
        yield Line(f"  next: {host.error.hint}")
    for line in words.mended(host, width):
        yield Line(f"  {line.mark}", line.text, line.tone)


def _matrix(hosts: Sequence[PreflightHost], rows: Sequence[Row], width: int) -> Iterator[Line]:
    """A table where it fits into the width, else a sentence a check."""
    if not rows:
        return
    yield Line("")
    first = max(len(row.id) for row in rows)
    columns = [max(len(host.name), *(len(row.cells[at]) for row in rows)) for at, host in enumerate(hosts)]
    if first + sum(columns) + 2 * len(columns) <= width:
        cells = [host.name.ljust(wide) for host, wide in zip(hosts, columns, strict=True)]
        yield Line("", "  ".join(["".ljust(first), *cells]))
        for row in rows:
            cells = [cell.ljust(wide) for cell, wide in zip(row.cells, columns, strict=True)]
            yield Line("", "  ".join([row.id.ljust(first), *cells]))
        return
    for row in rows:
        said = [
            f"{word} on {words.names([hosts[at].name for at in ats])}" for word, ats in row.by_word.items()
        ]
        yield from words.beside(row.id, first + 2, "; ".join(said), width)


def _unseen(rows: Sequence[Row], width: int) -> Iterator[Line]:
    """The checks that were answered nowhere; each machine alone says why."""
    nowhere = [row.id for row in rows if set(row.cells) <= {"not here", ""}]
    for mark, ids in (("unknown", [row.id for row in rows if row.id not in nowhere]), ("not here", nowhere)):
        if ids:
            yield from words.wrapped(mark, "dim", f"on all of them: {', '.join(ids)} (--all says why)", width)


def _siblings(groups: Sequence[Siblings], width: int) -> Iterator[Line]:
    for group in groups:
        yield Line("")
        same = "" if group.differences else " are alike"
        heading = f"{words.names(group.hosts)}{same} ({group.machine})"
        yield Line(f"{heading}{'' if same else ' differ in'}", tone="bold")
        first = max((len(one.what) for one in group.differences), default=0)
        for one in group.differences:
            said = "; ".join(f"{value} on {words.names(names)}" for value, names in one.values)
            yield from words.beside(f"  {one.what}", first + 4, said, width)
