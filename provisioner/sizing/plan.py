"""What the memory planner answers: does it fit, how much of it, what is best here, what more would buy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, cast

from provisioner.errors import UsageError
from provisioner.sizing.budgets import budget, check, fixed_needs, judge, needs, settled, verdict
from provisioner.sizing.data import constant, published, quantizations
from provisioner.sizing.model import Answer, Load, Machine, Runtime, Shape, Variant, Way
from provisioner.sizing.quantize import can_divide, can_quantize
from provisioner.sizing.runtimes import llama, size
from provisioner.sizing.speed import tokens_per_second
from provisioner.sizing.tensors import PLAIN

LARGEST_BATCH = 4096
# A rise in perplexity that is called little: what 4 bits cost.
LITTLE = 0.05
# Contexts at which buying memory is looked at.
STEPS = (4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144, 1_048_576)


def fits(shape: Shape, way: Way, load: Load, machine: Machine) -> bool | None:
    """Whether it fits; None: not known."""
    way = settled(shape, way, load, machine)
    return judge(way, *needs(shape, way, load), machine).fits


def largest_context(shape: Shape, way: Way, machine: Machine, batch: int = 1, images: int = 0) -> int:
    """The most tokens of each of `batch` requests that fit, at most the model's own context; 0: none."""
    check(shape, way, Load(1, batch, images))
    return _largest(shape, way, machine, lambda tokens: Load(tokens, batch, images), shape.context)


def largest_batch(shape: Shape, way: Way, machine: Machine, context: int, images: int = 0) -> int:
    """The most requests of `context` tokens at once that fit, at most 4096; 0: none."""
    check(shape, way, Load(context, images=images))
    return _largest(shape, way, machine, lambda batch: Load(context, batch, images), LARGEST_BATCH)


def _largest(shape: Shape, way: Way, machine: Machine, load: Callable[[int], Load], most: int) -> int:
    """Bisection: what fits grows never with what is asked."""
    counted = not (way.runtime == "llama" and way.gpu_layers is None and way.device == "cuda")
    known = fixed_needs(shape, way) if counted else None

    def fitting(count: int) -> bool:
        if known is None:
            return bool(fits(shape, way, load(count), machine))
        return bool(judge(way, *needs(shape, way, load(count), known), machine).fits)

    if fitting(most):
        return most
    if not fitting(1):
        return 0
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fitting(middle) else (low, middle)
    return low


def answer(
    shape: Shape,
    machine: Machine,
    load: Load,
    way: Way | None = None,
    runtimes: Sequence[str] = ("transformers", "vllm", "llama"),
) -> Answer:
    """Everything at once: the way asked for (or the best), the others, and what more VRAM would buy.

    `best` is the one that loses least among those that fit what is asked without help of the CPU and of other
    GPUs; then the faster one. Only if none does, help counts; None where nothing fits.
    """
    variants = [judged(shape, candidate, load, machine) for candidate in ways(shape, machine, runtimes)]
    variants += [
        judged(shape, more, load, machine)
        for variant in variants
        if not variant.verdict.fits
        for more in with_help(shape, variant.way, load, machine)
    ]
    if way is not None and not any(variant.way == way for variant in variants):
        variants.append(judged(shape, way, load, machine))
    ordered = tuple(sorted(variants, key=lambda variant: _order(shape, variant)))
    best = next((variant for variant in ordered if variant.verdict.fits), None)
    if way is not None:
        counted = settled(shape, way, load, machine)
        chosen = next(variant for variant in ordered if variant.way in (way, counted))
    else:
        chosen = best or max(ordered, key=_nearness)
    return Answer(
        chosen=chosen,
        best=best,
        variants=ordered,
        gigabytes=gigabytes(shape, load, machine, best),
        published=said_elsewhere(shape, chosen.way),
        notes=_notes(shape, load, ordered, best),
    )


def ways(shape: Shape, machine: Machine, runtimes: Sequence[str]) -> tuple[Way, ...]:
    """Every way that is worth a look on this machine, each on one GPU where it has any."""
    device: Literal["cpu", "cuda"] = "cuda" if machine.gpus and machine.vram_bytes != 0 else "cpu"
    found = []
    for name, entry in quantizations().items():
        for runtime in entry.runtimes:
            if (
                runtime not in runtimes
                or device not in entry.devices
                or (runtime == "vllm" and device == "cpu")
            ):
                continue
            if name != "none" and (entry.blocks in PLAIN or not can_quantize(shape, runtime)):
                continue
            if shape.format == "gguf" and runtime != "llama":
                continue
            layers = llama.all_layers(shape) if runtime == "llama" and device == "cuda" else None
            found.append(Way(cast("Runtime", runtime), device, name, gpu_layers=layers))
    if not found:
        raise UsageError(
            f"{shape.name}: none of {', '.join(runtimes) or 'no runtime'} runs it here",
            hint="llama runs GGUF files; transformers and vllm run safetensors, vllm on GPUs only",
        )
    return tuple(found)


def with_help(shape: Shape, way: Way, load: Load, machine: Machine) -> tuple[Way, ...]:
    """The same with more GPUs, as few as will do; where they do not, with layers left to the CPU."""
    if way.device == "cpu":
        return ()
    counts = [count for count in range(2, machine.gpus + 1) if can_divide(shape, way, count)]
    tried = [replace(way, gpus=count) for count in counts]
    enough = next((one for one in tried if fits(shape, one, load, machine)), None)
    more = [enough or tried[-1]] if tried else []
    if way.runtime == "llama" and not machine.unified and enough is None:
        more.append(replace(way, gpu_layers=None, gpus=max(counts, default=1)))
    return tuple(more)


def judged(shape: Shape, way: Way, load: Load, machine: Machine) -> Variant:
    """One way, looked at from all sides."""
    counted = settled(shape, way, load, machine)
    found = budget(shape, counted, load, machine)
    kind = quantizations()[way.quantization]
    loss = f"{kind.loss} ({kind.loss_source})"
    if way.quantization == "none" and not can_quantize(shape, way.runtime):
        loss = "none beyond what the file has lost already"
    return Variant(
        way=counted,
        budget=found,
        verdict=verdict(found, machine),
        largest_context=largest_context(shape, way, machine, load.batch, load.images),
        largest_batch=largest_batch(shape, way, machine, load.context, load.images),
        tokens_per_second=tokens_per_second(shape, counted, load, machine),
        loss=loss,
    )


def helped(shape: Shape, way: Way) -> bool:
    """Whether the CPU computes some of the layers, or RAM holds them."""
    if way.device == "cpu" or way.gpu_layers is None:
        return False
    return way.gpu_layers < (llama.all_layers(shape) if way.runtime == "llama" else shape.layers)


def _order(shape: Shape, variant: Variant) -> tuple[float, ...]:
    """The best first: by loss, then by GPUs that it takes, then by speed.

    With help of the CPU a gigabyte costs more time than anything else, so speed decides among the good ones.
    """
    rank = quantizations()[variant.way.quantization].rank
    slow = -(variant.tokens_per_second or 0.0)
    if helped(shape, variant.way):
        return (1, rank > LITTLE, slow, rank)
    return (0, rank, variant.way.gpus, slow)


def _nearness(variant: Variant) -> tuple[int, int]:
    """Of those that do not fit: the longest context, else the least that is lacking."""
    rooms_left = (variant.verdict.vram_room, variant.verdict.ram_room)
    return variant.largest_context, sum(min(0, room) for room in rooms_left if room is not None)


def gigabytes(
    shape: Shape, load: Load, machine: Machine, best: Variant | None
) -> tuple[tuple[int, str], ...]:
    """What a GPU with more memory would buy: (bytes of VRAM it needs at least, what for), the smallest first.

    Each is better than all before it: less lost at the context asked for, or more context of the best way.
    """
    if not machine.gpus or not machine.vram_bytes or machine.unified:
        return ()
    have, found = machine.vram_bytes, []
    lost = float("inf")
    if best is not None and not helped(shape, best.way):
        lost = quantizations()[best.way.quantization].rank
        way = best.way
        for context in sorted({*STEPS, shape.context}):
            if best.largest_context < context <= shape.context:
                least = gpu_for(shape, way, replace(load, context=context))
                found.append((least, f"{context} tokens of context with {named(way)}"))
    runtimes = ("llama", "transformers", "vllm") if best is None else (best.way.runtime,)
    offers = []
    gpus = best.way.gpus if best is not None else 1
    for one in ways(shape, machine, runtimes):
        way = replace(one, gpus=gpus)
        kind = quantizations()[way.quantization]
        if kind.rank < lost and not kind.needs:
            offers.append((gpu_for(shape, way, load), kind.rank, way))
    for least, rank, way in sorted(offers, key=lambda offer: (offer[0], offer[1])):
        if rank < lost and least > have:
            lost = rank
            found.append((least, f"{named(way)} with {load.context} tokens of context"))
    return tuple(sorted(item for item in found if item[0] > have))


def gpu_for(shape: Shape, way: Way, load: Load) -> int:
    """Bytes that a GPU must have for a way of running it."""
    vram, _ = needs(shape, way, load)
    share = way.utilization if way.runtime == "vllm" else 1.0
    return math.ceil(vram / share / (1 - constant("machine", "vram").share))


def named(way: Way) -> str:
    """A way in words: Q4_K_M through llama.cpp."""
    runtime = {"llama": "llama.cpp", "vllm": "vLLM"}.get(way.runtime, way.runtime)
    what = "the weights as published" if way.quantization == "none" else way.quantization
    return f"{what} through {runtime}"


def said_elsewhere(shape: Shape, way: Way) -> tuple[str, ...]:
    """What others published about this model, each with its source and its doubt."""
    found = []
    for entry in published():
        if not shape.name.lower().startswith(entry.model.lower()):
            continue
        if entry.runtime and entry.runtime != way.runtime:
            continue
        doubt = f"; {entry.doubt}" if entry.doubt else ""
        found.append(f"{size(entry.nbytes)}: {entry.what} ({entry.source}{doubt})")
    return tuple(found)


def _notes(shape: Shape, load: Load, ordered: Sequence[Variant], best: Variant | None) -> dict[str, str]:
    notes = {}
    if load.context > shape.context:
        notes["context"] = (
            f"{load.context} tokens are more than the {shape.context} that the model was made for"
        )
    if load.images and shape.vision is None:
        notes["images"] = f"nothing is known of how {shape.name} sees: they are not counted"
    if shape.vision and load.images * shape.vision.tokens_per_image > load.context:
        notes["images"] = (
            f"{load.images} images are {load.images * shape.vision.tokens_per_image} tokens, "
            f"more than the context of {load.context}"
        )
    for variant in ordered:
        needed = quantizations()[variant.way.quantization].needs
        if needed:
            notes[variant.way.quantization] = f"needs {needed}"
    if best is None:
        near = max(ordered, key=_nearness)
        if near.largest_context:
            notes["smaller"] = f"{near.largest_context} tokens of context fit, with {named(near.way)}"
    return notes
