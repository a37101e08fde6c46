"""Memory as stacked bars: each part against what the box has, in per cent of the picture's width."""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.compat.outline import Outline
from provisioner.report import words
from provisioner.report.plan_words import Where, machine_bytes, needed


@dataclass(frozen=True)
class Slice:
    """One part: where it begins and how wide it is, in per cent; `colour` counts the colours of the page."""

    name: str
    size: str
    start: float
    width: float
    colour: int


@dataclass(frozen=True)
class Bar:
    """One memory. `limit` is where the box's own ends, in per cent; None: not known."""

    title: str
    slices: tuple[Slice, ...]
    limit: float | None


def bars(outline: Outline) -> list[Bar]:
    """VRAM, where it is used, and RAM; none where nothing is known of the model's memory."""
    if outline.answer is None:
        return []
    found = []
    names = list(dict.fromkeys(part.name for part in outline.answer.chosen.budget.parts))
    for where in ("vram", "ram"):
        bar = _bar(outline, where, names)
        if bar is not None:
            found.append(bar)
    return found


def _bar(outline: Outline, where: Where, names: list[str]) -> Bar | None:
    assert outline.answer is not None
    chosen = outline.answer.chosen
    parts = [part for part in chosen.budget.parts if part.where == where]
    if not parts:
        return None
    has = machine_bytes(outline.box.machine, where)
    whole = max(sum(part.nbytes for part in parts), has or 0)
    slices, at = [], 0
    for part in parts:
        slices.append(
            Slice(
                part.name,
                words.size(part.nbytes),
                round(100 * at / whole, 3),
                round(100 * part.nbytes / whole, 3),
                names.index(part.name),
            )
        )
        at += part.nbytes
    limit = None if has is None else round(100 * has / whole, 3)
    return Bar(needed(chosen, outline.box.machine, where), tuple(slices), limit)
