"""The sentences of a plan, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from provisioner.compat.decide import Decision, Route
from provisioner.compat.outline import Outline
from provisioner.compat.solver import Fact, in_words
from provisioner.compat.sticky import weights_stay
from provisioner.report import words
from provisioner.report.plan import PlannedHost, weights_bytes
from provisioner.sizing.data import quantizations
from provisioner.sizing.model import Answer, Load, Machine, Part, Shape, Variant, Way
from provisioner.sizing.plan import named

Tone = Literal["plain", "good", "bad", "dim"]
Where = Literal["vram", "ram"]
_NAMES: dict[Where, str] = {"vram": "VRAM", "ram": "RAM"}
# A shape that was read out of the model's own files says where these are.
_PLACES = ("hf:", "modelscope:", "http:", "https:", "/")
# Other ways that are shown; the JSON document has all.
_FITTING, _LACKING = 6, 3


@dataclass(frozen=True)
class Block:
    """Lines, or a table, below a title; `rows` begin with those of `header` where there is one."""

    title: str = ""
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    header: tuple[str, ...] = ()
    tone: Tone = "plain"


def blocks(host: PlannedHost, *, why: bool = False) -> list[Block]:
    """Everything that is told of one box after its first line."""
    if host.outline is None:
        error = host.error
        next_step = (f"next: {error.hint}",) if error and error.hint else ()
        return [Block(lines=(f"failed: {error.message if error else ''}", *next_step), tone="bad")]
    outline = host.outline
    return [
        Block(lines=(heading(outline),)),
        *_decision(outline),
        *(_memory(outline.answer, outline.box.machine, outline.ask.load) if outline.answer else ()),
        *_notes(outline),
        *(_why(outline) if why else ()),
    ]


def heading(outline: Outline) -> str:
    """What was asked for, in one line."""
    profile, load = outline.ask.profile, outline.ask.load
    if outline.answer is None:
        return f"{profile.name}: {profile.summary}"
    way = outline.answer.chosen.way
    place = "the CPU" if way.device == "cpu" else "the GPU" if way.gpus == 1 else f"{way.gpus} GPUs"
    return f"{profile.name}: {named(way)} on {place}, {asked(load)}"


def asked(load: Load) -> str:
    """A load in words."""
    images = f" with {words.count(load.images, 'image')}" if load.images else ""
    if load.batch == 1:
        return f"{load.context} tokens of context{images}"
    return f"{load.batch} requests at a time of {load.context} tokens each{images}"


def because(outline: Outline) -> list[str]:
    """Why it is impossible: a chain a line; nothing for what is possible."""
    return [in_words(chain) for chain in outline.chains]


def _decision(outline: Outline) -> Iterator[Block]:
    if outline.chains:
        yield Block(lines=tuple(f"impossible: {chain}" for chain in because(outline)), tone="bad")
        first, *others = outline.changes or ("nothing that is known here would make it possible",)
        yield Block(lines=(f"change: {first}", *(f"or: {other}" for other in others)))
    if isinstance(outline.decided, Decision):
        routes = [(route.what, route.action, route.text) for route in outline.decided.routes]
        extra = [(name, "", text) for route in outline.decided.routes for name, text in _extra(route)]
        model, scope = outline.ask.profile.model, outline.decided.scope
        weights = "keep" if weights_stay(outline.facts, scope, model) else "fetch"
        yield Block(
            "what provision up would put on it",
            rows=(*routes, *extra, ("weights", weights, _weights(outline))),
        )


def _extra(route: Route) -> Iterator[tuple[str, str]]:
    """What belongs to a route and is not in its sentence."""
    if "fabricmanager" in route.extra:
        yield "fabric manager", f"{route.extra['fabricmanager']}, for NVSwitch"
    if "compiler" in route.extra:
        yield "compiler", f"{route.extra['compiler']}: nvcc accepts no newer one"
    if "mok" in route.extra:
        yield "Secure Boot", route.extra["mok"]


def _weights(outline: Outline) -> str:
    """How large they are, where they are from, and what becomes of them."""
    source = outline.ask.profile.model.source
    nbytes = weights_bytes(outline)
    text = "of unknown size" if nbytes is None else f"{words.size(nbytes)} as published"
    shape = outline.ask.shape
    place = source.get("repo") or source.get("url") or source.get("path")
    if not place and shape is not None and shape.source.startswith(_PLACES):
        place = shape.source
    if place:
        text += f" at {place}"
    if outline.answer is None or outline.ask.profile.model.files:
        return text
    return text + made(outline.answer.chosen.way, shape)


def made(way: Way, shape: Shape | None) -> str:
    """What becomes of the published weights before they run; what nobody here does is said to be by hand."""
    kind = way.quantization
    if way.runtime == "llama":
        if shape is not None and shape.format == "gguf":
            return "" if kind == "none" else f"; as {kind} by hand, with llama-quantize"
        return f"; as {'a' if kind == 'none' else f'a {kind}'} GGUF by hand, or published by others"
    if kind == "none":
        return ""
    if quantizations()[kind].needs:
        return f"; instead a checkpoint that is quantised to {kind} already"
    return f", quantised to {kind} while loading"


def _memory(answer: Answer, machine: Machine, load: Load) -> Iterator[Block]:
    chosen = answer.chosen
    for where in ("vram", "ram"):
        yield from _parts(chosen, machine, where)
    fits = chosen.verdict.fits
    titles = {
        True: "fits in memory",
        False: "does not fit in memory",
        None: "not known whether it fits in memory",
    }
    yield Block(titles[fits], (
        chosen.verdict.because, *_largest(chosen, load),
    ), tone="good" if fits else "bad" if fits is False else "plain")  # fmt: skip
    yield _best(answer, machine)
    if shown := _shown(answer):
        header = ("way", "VRAM", "RAM", "context", "requests", "tokens/s", "")
        yield Block("other ways", rows=tuple(map(_row, shown)), header=header)
    if answer.gigabytes:
        bought = tuple((f"{words.size(count)} of VRAM", text) for count, text in answer.gigabytes)
        yield Block("what more would buy", rows=bought)
    if answer.published:
        yield Block("published by others", answer.published, tone="dim")


def _shown(answer: Answer) -> list[Variant]:
    """The other ways that are told."""
    others = [variant for variant in answer.variants if variant is not answer.chosen]
    fitting = [variant for variant in others if variant.verdict.fits is not False]
    lacking = [variant for variant in others if variant.verdict.fits is False]
    # Those that lack least are told: the others lack the same, and more.
    lacking.sort(key=lambda variant: -min(variant.verdict.vram_room or 0, variant.verdict.ram_room or 0))
    return [*fitting[:_FITTING], *lacking[:_LACKING]]


def _parts(chosen: Variant, machine: Machine, where: Where) -> Iterator[Block]:
    parts = [part for part in chosen.budget.parts if part.where == where]
    if parts:
        rows = tuple((part.name, words.size(part.nbytes), part.why) for part in parts)
        yield Block(needed(chosen, machine, where), rows=rows)


def needed(chosen: Variant, machine: Machine, where: Where) -> str:
    """How much of one memory is needed, of how much."""
    name = _NAMES[where]
    count = chosen.budget.vram_bytes if where == "vram" else chosen.budget.ram_bytes
    room = chosen.verdict.vram_room if where == "vram" else chosen.verdict.ram_room
    has = machine_bytes(machine, where)
    each = " of each GPU" if where == "vram" and chosen.way.gpus > 1 else ""
    text = f"{name}{each}: {words.size(count)}"
    if has is None:
        return f"{text}; how much there is, is not known"
    shared = "the machine's " if where == "vram" and machine.unified else ""
    text = f"{text} of {shared}{words.size(has)}"
    if room is None:
        return text
    parts = [part for part in chosen.budget.parts if part.where == where]
    reserved = sum(part.nbytes for part in parts if part.name == "reserved")
    if reserved and room >= 0:
        return f"{text}, {words.size(room)} of that to spare"
    found = f"{text}, {words.size(room)} left" if room >= 0 else f"{text}, {words.size(-room)} lacking"
    free = has - (count - reserved if where == "vram" else chosen.budget.needed_ram) - room
    # Of memory that both share, what stays free is of both.
    return f"{found} beside {words.size(free)} that stay free" if free > 0 and not machine.unified else found


def machine_bytes(machine: Machine, where: Where) -> int | None:
    """What a box has of one memory; a GPU without its own has the machine's."""
    return machine.ram_bytes if where == "ram" or machine.unified else machine.vram_bytes


def _largest(chosen: Variant, load: Load) -> Iterator[str]:
    if chosen.verdict.fits is None:
        return
    if not chosen.largest_context:
        yield "not even one token of context fits"
        return
    requests = "" if load.batch == 1 else f" of each of {load.batch} requests"
    yield f"largest context: {words.count(chosen.largest_context, 'token')}{requests}"
    yield f"largest batch: {words.count(chosen.largest_batch, 'request')} of {load.context} tokens"
    if chosen.tokens_per_second is not None and chosen.verdict.fits:
        yield f"about {speed(chosen.tokens_per_second)} tokens/s, estimated from the memory's bandwidth"


def speed(number: float) -> str:
    """Tokens a second: 0.4, 12."""
    return f"{number:.1f}" if number < 10 else f"{number:.0f}"


def _best(answer: Answer, machine: Machine) -> Block:
    best = answer.best
    if best is None:
        return Block("best for this box", ("no way that is known fits",), tone="bad")
    same = " (the one above)" if best is answer.chosen else ""
    return Block("best for this box", (f"{shortly(best, machine)}{same}", f"loss: {best.loss}"), tone="good")


def shortly(variant: Variant, machine: Machine) -> str:
    """A way in a few words: 8.6 GB: Q4_K_M through llama.cpp with 6k context."""
    has = machine_bytes(machine, "vram" if variant.way.device == "cuda" else "ram")
    amount = "" if has is None else f"{words.size(has)}: "
    return f"{amount}{named(variant.way)} with {thousands(variant.largest_context)} context"


def thousands(count: int) -> str:
    """Tokens for a person: 512, 6k, 128k; rounded down."""
    return str(count) if count < 1000 else f"{count // 1000}k" if count % 1024 else f"{count // 1024}k"


def _row(variant: Variant) -> tuple[str, ...]:
    fits = variant.verdict.fits
    rate = variant.tokens_per_second
    return (
        named(variant.way) + (f" on {variant.way.gpus} GPUs" if variant.way.gpus > 1 else ""),
        words.size(variant.budget.vram_bytes) if variant.way.device == "cuda" else "-",
        words.size(variant.budget.ram_bytes),
        thousands(variant.largest_context) if fits is not None else "?",
        str(variant.largest_batch) if fits is not None else "?",
        "?" if rate is None else speed(rate),
        "" if fits else variant.verdict.because,
    )


def _notes(outline: Outline) -> Iterator[Block]:
    notes = [*(outline.decided.notes if isinstance(outline.decided, Decision) else ()), *outline.notes]
    if outline.answer is not None:
        # A word on a quantisation belongs to its row.
        told = {one.way.quantization for one in (outline.answer.chosen, *_shown(outline.answer))}
        notes += [
            f"{what}: {text}"
            for what, text in outline.answer.notes.items()
            if what in told or what not in quantizations()
        ]
    if notes:
        yield Block("notes", tuple(notes), tone="dim")


def _why(outline: Outline) -> Iterator[Block]:
    facts = [fact for chain in outline.chains for fact in chain]
    if isinstance(outline.decided, Decision):
        facts += outline.decided.facts
    if facts:
        yield Block("why", rows=tuple(map(_sourced, facts)), header=("fact", "source", "confidence"))
    if outline.answer is not None:
        parts = outline.answer.chosen.budget.parts
        yield Block(
            "why so much memory", rows=tuple(map(_of_part, parts)), header=("part", "source", "confidence")
        )


def _sourced(fact: Fact) -> tuple[str, str, str]:
    return fact.text, fact.source or fact.kind, fact.confidence or ""


def _of_part(part: Part) -> tuple[str, str, str]:
    return f"{_NAMES[part.where]} {part.name}", part.source, part.confidence


def text(host: PlannedHost, *, why: bool = False) -> Iterator[str]:
    """The lines of one box as a terminal shows them, without its name."""
    for block in blocks(host, why=why):
        indent = "  "
        if block.title:
            yield f"  {block.title}"
            indent = "    "
        yield from (f"{indent}{line}" for line in block.lines)
        rows = [block.header, *block.rows] if block.header else list(block.rows)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            yield f"{indent}{'  '.join(cells)}".rstrip()
