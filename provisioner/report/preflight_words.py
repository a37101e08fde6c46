"""The sentences of preflight, for the terminal and the page alike: worst first, what is fine in one line."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provisioner.preflight.finding import Actor, Finding, Remedy
from provisioner.report import words
from provisioner.report.preflight import PreflightHost, Standing, Tone, called, concerns
from provisioner.secrecy import without_logins

WIDTH = 100
_NARROW = 40
_MARK = 10
_LABEL = 8
# More checks than these that ask for nothing, each for a reason of its own, are told in one line.
_VARIOUS = 2
# As many machines are named in a sentence.
_NAMED = 8
_TONES: dict[Standing, Tone] = {"ready": "good", "warned": "doubt", "blocked": "bad", "failed": "bad"}
_WHO: dict[Actor, str] = {
    "firmware": "at the machine, in its firmware's setup",
    "kernel": "on the kernel's command line",
    "system": "in the running system",
    "host": "on the machine around this one, its host",
    "vendor": "by its maker, with an update",
    "owner": "by its owner, with other hardware",
}
_MENDED: dict[str, tuple[str, Tone]] = {
    "would": ("would fix", "bold"), "done": ("fixed", "good"), "failed": ("not fixed", "bad"),
}  # fmt: skip
# A command in a sentence is copied as it stands: it is not broken at its blanks.
_COMMAND = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Line:
    """A line of the terminal: its first part carries the tone."""

    mark: str
    text: str = ""
    tone: Tone = "plain"

    @property
    def plain(self) -> str:
        """The line without colours."""
        return f"{self.mark}{self.text}".rstrip()


@dataclass(frozen=True)
class Told:
    """A finding in words: what is the matter, then labelled sentences."""

    mark: str
    tone: Tone
    finding: Finding
    parts: tuple[tuple[str, str], ...]


def told(one: Finding, *, evidence: bool = False, hosts: Sequence[str] = ()) -> Told:
    """All that is said of a finding. `evidence`: and where it was read; `hosts`: and on which it is so."""
    mark, tone = called(one)
    on = [("on", names(hosts))] if hosts else []
    return Told(mark, tone, one, (*on, *_parts(one, evidence)))


def concerned(host: PreflightHost) -> list[Told]:
    """What a person should act on, worst first."""
    return [told(one, evidence=True) for one in concerns(host.findings)]


def others(host: PreflightHost) -> list[Told]:
    """What is fine, and what nobody could judge."""
    acted = concerns(host.findings)
    return [told(one, evidence=True) for one in host.findings if one not in acted]


def names(hosts: Sequence[str]) -> str:
    """Machines by name; of very many, the first."""
    more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
    return f"{', '.join(hosts[:_NAMED])}{more}"


def _parts(one: Finding, evidence: bool) -> Iterator[tuple[str, str]]:
    if one.observed:
        yield "seen", one.observed
    if one.expected:
        yield "wanted", one.expected
    if one.impact:
        yield "why", one.impact
    if one.remedy is not None:
        yield from _remedy(one.remedy)
    if one.limits:
        yield "but", one.limits
    if evidence:
        for seen in one.evidence:
            where = seen.source if seen.offset is None else f"{seen.source}, byte {seen.offset:#x}"
            yield "read", f"{where}: {seen.value}"
    sure = "" if one.confidence == "confirmed" else f", {one.confidence}"
    yield "check", f"{one.id}{f' of {one.subject}' if one.subject else ''}{sure}"


def _remedy(remedy: Remedy) -> Iterator[tuple[str, str]]:
    restart = ", then restart" if remedy.reboot else ""
    yield "where", f"{_WHO[remedy.actor]}{restart}"
    if remedy.menu:
        yield "menu", remedy.menu
    numbered = len(remedy.steps) > 1
    for number, step in enumerate(remedy.steps, 1):
        yield "do" if number == 1 else "", f"{number}. {step}" if numbered else step
    if remedy.risk:
        yield "risk", remedy.risk


# One machine


def text(host: PreflightHost, *, everything: bool = False, width: int = WIDTH) -> list[Line]:
    """One machine, from its worst to its best. `everything`: with what is fine, and where it was read."""
    return list(_text(host, everything, max(width, _NARROW)))


def _text(host: PreflightHost, everything: bool, width: int) -> Iterator[Line]:
    yield from head(host)
    if host.found is None:
        return
    for one in concerns(host.findings):
        yield Line("")
        yield from finding(told(one, evidence=everything), width)
    rest = [*_notes(host.findings, everything), *_unseen(host.findings, everything)]
    rest += _fine(host.findings, everything)
    if rest:
        yield Line("")
    for mark, tone, sentence in rest:
        yield from wrapped(mark, tone, sentence, width)
    yield from mended(host, width)
    yield Line("")
    yield from closing(host, width)


def brief(findings: Sequence[Finding], width: int = WIDTH) -> Iterator[Line]:
    """What a person should know before anything is changed: what blocks in full, warnings in a line each."""
    for one in concerns(findings):
        said = told(one)
        if one.blocks:
            yield from finding(said, width)
            yield Line(" " * _MARK + "or".ljust(_LABEL), f"--ignore {one.id} goes on all the same", "dim")
        else:
            yield from wrapped(said.mark, said.tone, f"{one.summary}{_tag(one)}", width)


def head(host: PreflightHost) -> Iterator[Line]:
    """What the machine is, and as what it was judged."""
    machine = f"  {words.machine(host.facts)}" if host.facts is not None else ""
    yield Line(host.name, machine, "bold")
    if host.error is not None:
        yield Line("  failed: ", without_logins(host.error.message).removeprefix(f"{host.name}: "), "bad")
        if host.error.hint:
            yield Line(f"  next: {host.error.hint}")
    if host.found is not None:
        yield Line(f"  judged as {purpose(host)}")


def purpose(host: PreflightHost) -> str:
    """What the machine was taken for, and why."""
    assert host.found is not None
    return f"{host.found.purpose}: {host.found.because}"


def mended(host: PreflightHost, width: int = WIDTH) -> Iterator[Line]:
    """What --fix did, or would do."""
    for one in host.mended:
        mark, tone = _MENDED[one.state]
        yield from wrapped(mark, tone, f"{one.name}: {one.does}; to undo: `{one.undo}`", width)
    if host.unmended is not None:
        told_of = without_logins(host.unmended.message).removeprefix(f"{host.name}: ")
        step = f"; next: {host.unmended.hint}" if host.unmended.hint else ""
        yield from wrapped("not fixed", "bad", f"{told_of}{step}", width)


def closing(host: PreflightHost, width: int = WIDTH) -> Iterator[Line]:
    """The verdict and the next step."""
    yield Line(verdict(host), tone=tone(host))
    for number, line in enumerate(_lines(f"next: {next_step(host)}", width - 2)):
        yield Line(f"{'  ' if number == 0 else '    '}{line}")


def tone(host: PreflightHost) -> Tone:
    """The colour of a machine's verdict."""
    return "bad" if host.too_many_warnings else _TONES[host.standing]


def verdict(host: PreflightHost) -> str:
    """How the machine stands, in one sentence."""
    if host.error is not None:
        return f"failed: {without_logins(host.error.message).removeprefix(f'{host.name}: ')}"
    count = Counter(one.status for one in host.findings)
    said = []
    if count["warn"]:
        said.append(words.count(count["warn"], "warning"))
    if count["error"]:
        said.append(f"{words.count(count['error'], 'check')} read nonsense")
    if count["unknown"]:
        said.append(f"{words.count(count['unknown'], 'check')} could not be answered")
    more = f"; {', '.join(said)}" if said else ""
    if host.standing == "blocked":
        return f"blocked: {words.count(count['fail'], 'thing')} to put right first{more}"
    if host.too_many_warnings:
        return f"not clean, as --strict wants it: {', '.join(said)}"
    return f"ready: nothing that was seen stands in the way{more}"


def next_step(host: PreflightHost) -> str:
    """What to do now."""
    if host.error is not None:
        return host.error.hint or "see that the machine can be reached"
    worst = next((one for one in host.findings if one.status == "fail"), None)
    if worst is not None:
        if worst.remedy is not None and worst.remedy.steps:
            return worst.remedy.steps[0]
        return f"provision preflight --explain {worst.id}"
    if host.too_many_warnings:
        return "put right what is warned of, or name a check with --ignore"
    if host.standing == "warned":
        return "read the warnings; provision up goes on all the same"
    return "provision up"


def finding(one: Told, width: int) -> Iterator[Line]:
    """A finding: what is the matter, and below it what belongs to it."""
    yield from wrapped(one.mark, one.tone, one.finding.summary, width)
    for label, sentence in one.parts:
        yield from beside(" " * _MARK + label, _MARK + _LABEL, sentence, width, "dim")


def _notes(findings: Sequence[Finding], everything: bool) -> Iterator[tuple[str, Tone, str]]:
    for one in findings:
        if one.status == "pass" and one.severity == "info":
            yield "note", "plain", f"{one.summary}{_tag(one) if everything else ''}"


def _tag(one: Finding) -> str:
    return f" ({one.id}{f', {one.subject}' if one.subject else ''})"


def _unseen(findings: Sequence[Finding], everything: bool) -> Iterator[tuple[str, Tone, str]]:
    """What nobody could judge, by the reason for it: one line a reason, and one for reasons of their own."""
    unseen = [one for one in findings if one.status in ("unknown", "not_applicable")]
    if everything:
        yield from ((*called(one), f"{one.summary}{_tag(one)}") for one in unseen)
        return
    reasons: dict[tuple[str, Tone, str], list[Finding]] = {}
    for one in unseen:
        reasons.setdefault((*called(one), one.reason or one.summary), []).append(one)
    alone = [ones[0] for ones in reasons.values() if len(ones) == 1]
    various = [one for one in alone if one.status == "not_applicable"]
    various = various if len(various) > _VARIOUS else []
    for (mark, tone, reason), ones in sorted(reasons.items(), key=lambda item: -len(item[1])):
        if len(ones) > 1:
            yield mark, tone, f"{words.count(len(ones), 'check')}: {reason} ({_ids(ones)})"
        elif ones[0] not in various:
            yield mark, tone, f"{ones[0].summary}{_tag(ones[0])}"
    if various:
        mark, tone = called(various[0])
        yield mark, tone, f"{len(various)} checks, for reasons that --all tells ({_ids(various)})"


def _ids(findings: Sequence[Finding]) -> str:
    return ", ".join(dict.fromkeys(one.id for one in findings))


def _fine(findings: Sequence[Finding], everything: bool) -> Iterator[tuple[str, Tone, str]]:
    fine = [one for one in findings if one.status == "pass" and one.severity == "none"]
    if everything:
        for one in fine:
            yield "fine", "good", f"{one.summary}{_tag(one)}"
    elif fine:
        by = Counter(one.category for one in sorted(fine, key=lambda one: one.category))
        parts = ", ".join(f"{category} {count}" for category, count in by.items())
        yield "fine", "good", f"{words.count(len(fine), 'check')}: {parts} (--all shows them)"


def wrapped(mark: str, tone: Tone, sentence: str, width: int) -> Iterator[Line]:
    """A sentence beside its mark."""
    return beside(mark, _MARK, sentence, width, tone)


def beside(mark: str, indent: int, sentence: str, width: int, tone: Tone = "plain") -> Iterator[Line]:
    """A sentence beside something of at most `indent` characters."""
    for number, line in enumerate(_lines(without_logins(sentence), width - indent)):
        yield Line((mark if number == 0 else "").ljust(indent), line, tone)


def _lines(sentence: str, width: int) -> list[str]:
    """A sentence in lines of at most `width` characters; words and commands stay whole."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in sentence).split())
    kept = _COMMAND.sub(lambda found: found.group().replace(" ", "\0"), flat)
    lines = textwrap.wrap(kept, max(width, _NARROW // 2), break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines] or [""]
