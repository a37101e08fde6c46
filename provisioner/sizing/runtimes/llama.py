"""llama.cpp on GPUs: a mapped GGUF, a cache for the whole context from the start, buffers for one step.

`gpu_layers` as -ngl counts: the layers, and one more for the output. What stays off the GPU is computed by
the CPU from the mapped file. Sources: llama.cpp, llama-context.cpp (buffers are reserved for a step of
n_ubatch tokens with all its logits), llama-kv-cache-iswa.cpp (windows), llama-model.cpp (token_embd stays in
RAM).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from provisioner.sizing.cache import bytes_of, rounded
from provisioner.sizing.model import Load, Part, Shape, Way, Where
from provisioner.sizing.quantize import DTYPES, held
from provisioner.sizing.runtimes import known, part_of, share_of, size
from provisioner.sizing.runtimes.transformers import vision_of

_FORMULA = "llama.cpp, llama-context.cpp and llama-kv-cache-iswa.cpp"
GRAIN = 256


def all_layers(shape: Shape) -> int:
    """The -ngl that puts everything on the GPU."""
    return shape.layers + 1


def layers_on_gpu(shape: Shape, way: Way) -> int:
    """How many of them are on the GPU; None in the way means all."""
    if way.device == "cpu":
        return 0
    return all_layers(shape) if way.gpu_layers is None else min(way.gpu_layers, all_layers(shape))


def fixed(shape: Shape, way: Way) -> tuple[Part, ...]:
    """Weights on both sides, the process, the GPU's context."""
    because = f"{shape.parameters / 1e9:.2f} billion values, {_as_what(shape, way)}"
    on_gpu, in_ram = split(shape, way)
    off = all_layers(shape) - layers_on_gpu(shape, way)
    there = f"{off} of {all_layers(shape)} layers, and the embeddings"
    return (
        Part("weights", share_of(on_gpu, way.gpus), "vram", because, shape.source, shape.confidence),
        part_of(known(way, "context"), "context", "vram"),
        Part("weights", in_ram, "ram", there, shape.source, shape.confidence),
        part_of(known(way, "process"), "process", "ram"),
    )


def split(shape: Shape, way: Way) -> tuple[int, int]:
    """Bytes of the weights on the GPUs, and in RAM."""
    weights = held(shape, "llama", way.quantization, way.dtype)
    on = layers_on_gpu(shape, way)
    if not on:
        return 0, weights.nbytes
    embedding, head, vision = weights.of("embedding"), weights.of("head"), weights.of("vision")
    layers = weights.nbytes - embedding - head - vision
    there = layers * min(on, shape.layers) // shape.layers
    output = embedding if shape.tied else head
    whole = on > shape.layers
    # Tied: the output on the GPU is a copy of the embeddings, which stay in RAM to be looked up.
    in_ram = embedding + layers - there + (0 if whole or shape.tied else head)
    return there + vision + (output if whole else 0), in_ram


class Sizes(NamedTuple):
    """Bytes of what a load changes: on each GPU, then in RAM; `one` sequence's cache, tokens of a `step`."""

    cache: int
    buffers: int
    vision: int
    waste: int
    ram_cache: int
    ram_buffers: int
    ram_vision: int
    ram_waste: int
    one: int
    step: int


def sizes(shape: Shape, way: Way, load: Load) -> Sizes:
    """The cache of all slots, the buffers of a step, images one at a time."""
    step = min(known(way, "tokens").nbytes, load.context * load.batch)
    values = DTYPES[way.kv_dtype] if way.kv_dtype != "auto" else 2
    one = bytes_of(shape, load.context, values, beyond_window=step, block=GRAIN)
    kept, on = one * load.batch, layers_on_gpu(shape, way)
    there = kept * min(on, shape.layers) // shape.layers
    share = known(way, "fragmentation").share
    cells = rounded(load.context, GRAIN) * load.batch
    vision = vision_of(shape, 1, 4) if load.images else 0
    host = step * 4 * (shape.hidden + cells)
    if not on:
        return Sizes(0, 0, 0, 0, kept, host, vision, 0, one, step)
    logits = step * (shape.vocabulary + shape.hidden) * 4 if on > shape.layers else 0
    buffers = max(logits, _network(shape, step)) + 2 * cells * step
    cache = share_of(there, way.gpus)
    waste = int((cache + buffers + vision) * share)
    return Sizes(cache, buffers, vision, waste, kept - there, host, 0, 0, one, step)


def totals(shape: Shape, way: Way, load: Load) -> tuple[int, int]:
    """The same as two sums: of VRAM on each GPU, and of RAM."""
    found = sizes(shape, way, load)
    return sum(found[:4]), sum(found[4:8])


def growing(shape: Shape, way: Way, load: Load) -> tuple[Part, ...]:
    """The same as parts."""
    found = sizes(shape, way, load)
    tokens = rounded(load.context, GRAIN)
    slots = f"{load.batch} × {tokens} tokens, {size(found.one / tokens)} each, from the start"
    step = f"a step of {found.step} tokens, with its logits"
    parts = []
    where: Where
    for where, nbytes in (("vram", found[:4]), ("ram", found[4:8])):
        parts += [
            Part("kv cache", nbytes[0], where, slots, _FORMULA, "doc"),
            Part("buffers", nbytes[1], where, step, _FORMULA, "doc"),
            Part("vision", nbytes[2], where, "one image at a time in the encoder", _FORMULA, "memory"),
            part_of(known(way, "fragmentation"), "fragmentation", where, nbytes[3]),
        ]
    return tuple(parts)


def _network(shape: Shape, tokens: int) -> int:
    """32-bit values of the widest moment of a layer."""
    return tokens * _widest(shape) * 4


@cache
def _widest(shape: Shape) -> int:
    """Values of one token at the widest moment: gate and up, or q, k and v, beside the residual."""
    heads = max(layer.heads * layer.head_size for layer in shape.attention)
    return max(2 * shape.intermediate, 3 * heads) + 2 * shape.hidden


def _as_what(shape: Shape, way: Way) -> str:
    if way.quantization == "none":
        return "as in the file" if shape.format == "gguf" else "16-bit"
    return way.quantization
