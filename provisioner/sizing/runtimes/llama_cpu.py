"""llama.cpp without a GPU: a mapped GGUF, a second copy of what its vector kernels want in another order,
a cache for the whole context from the start, and one buffer for a step.

The formulas give what llama.cpp says of itself to the byte (docs/memory.md): llama-context.cpp,
llama-kv-cache-iswa.cpp, ggml-cpu/repack.cpp, tools/server (context checkpoints).
"""

from __future__ import annotations

from typing import NamedTuple

from provisioner.sizing.cache import bytes_of, rounded
from provisioner.sizing.model import Load, Part, Shape, Way
from provisioner.sizing.quantize import DTYPES, held, repacked
from provisioner.sizing.runtimes import known, part_of, prompt_of
from provisioner.sizing.runtimes.transformers import vision_of

_FORMULA = "llama.cpp, llama-context.cpp and llama-kv-cache-iswa.cpp"
_CHECKPOINTS = "llama.cpp, tools/server: near the end of each prompt, up to 32"
GRAIN = 256
# Of 16-bit numbers, as the fused attention wants them.
MASK_BYTES = 2
# One is made in the last steps of a prompt, one at its end.
CHECKPOINTS = 2


def fixed(shape: Shape, way: Way) -> tuple[Part, ...]:
    """The mapped file, its second copy, the process and the vocabulary in it."""
    weights = held(shape, "llama", way.quantization, way.dtype).nbytes
    kind = "16-bit" if way.quantization == "none" else way.quantization
    if way.quantization == "none" and shape.format == "gguf":
        kind = "as in the file"
    copy, vocabulary = known(way, "repacked"), known(way, "tokenizer")
    because = f"{shape.parameters / 1e9:.2f} billion values, {kind}"
    again = repacked(shape, way.quantization)
    twice = "pages of the file that were copied in another order, and may be dropped"
    return (
        Part("weights", weights, "ram", because, shape.source, shape.confidence),
        Part("repacked", again, "ram", twice, copy.source, copy.confidence, droppable=True),
        part_of(known(way, "process"), "process", "ram"),
        part_of(vocabulary, "tokenizer", "ram", int(vocabulary.share * shape.vocabulary)),
    )


class Sizes(NamedTuple):
    """Bytes of what a load changes."""

    cache: int
    buffers: int
    checkpoints: int
    vision: int


def sizes(shape: Shape, way: Way, load: Load) -> Sizes:
    """The cache of all slots, the buffers of a step, and copies of windows for later prompts."""
    step = known(way, "tokens").nbytes
    values = DTYPES[way.kv_dtype] if way.kv_dtype != "auto" else 2
    beyond = load.context if way.whole_cache else step
    cache = bytes_of(shape, load.context, values, beyond_window=beyond, block=GRAIN) * load.batch
    buffers = buffers_of(shape, load, min(step, prompt_of(load) * load.batch), beyond)
    kept = 0 if way.whole_cache else min(load.context, rounded(_window(shape) + step, GRAIN))
    copies = min(CHECKPOINTS, -(-prompt_of(load) // step)) * load.batch
    vision = vision_of(shape, 1, 4) if load.images else 0
    return Sizes(cache, buffers, copies * _windows(shape, kept, values), vision)


def totals(shape: Shape, way: Way, load: Load) -> tuple[int, int]:
    """The same as two sums: of VRAM, and of RAM."""
    return 0, sum(sizes(shape, way, load))


def growing(shape: Shape, way: Way, load: Load) -> tuple[Part, ...]:
    """The same as parts."""
    found = sizes(shape, way, load)
    slots = f"{load.batch} × {rounded(load.context, GRAIN)} tokens from the start"
    tokens = min(known(way, "tokens").nbytes, prompt_of(load) * load.batch)
    copies = "copies of the sliding layers, from which a later prompt may go on"
    return (
        Part("kv cache", found.cache, "ram", slots, _FORMULA, "ran"),
        Part(
            "buffers",
            found.buffers,
            "ram",
            f"a step of {tokens} tokens, and the last one's logits",
            _FORMULA,
            "ran",
        ),
        Part("checkpoints", found.checkpoints, "ram", copies, _CHECKPOINTS, "ran"),
        Part("vision", found.vision, "ram", "one image at a time", _FORMULA, "memory"),
    )


def buffers_of(shape: Shape, load: Load, tokens: int, beyond: int) -> int:
    """Bytes of the graph's buffer that a step of `tokens` touches, and of the logits that come out.

    32-bit values of a layer's widest moment, three times the network's width and five times the model's, and
    a mask of `tokens` by cells for each kind of layer.
    """
    network = tokens * (3 * shape.intermediate + 5 * shape.hidden) * 4
    cells = rounded(load.context, GRAIN) * load.batch
    masks = 0
    for kind in {layer.kind for layer in shape.attention if layer.kind != "linear"}:
        seen = cells
        if kind == "sliding":
            seen = min(cells, rounded(_window(shape) + beyond, GRAIN) * load.batch)
        masks += tokens * seen * MASK_BYTES
    return network + masks + load.batch * shape.vocabulary * 4


def _window(shape: Shape) -> int:
    return max((layer.window for layer in shape.attention if layer.kind == "sliding"), default=0)


def _windows(shape: Shape, tokens: int, values: float) -> int:
    """Bytes of the cache of the sliding layers alone."""
    return int(
        sum(
            layer.layers * tokens * layer.kv_heads * (layer.head_size + layer.value_size) * values
            for layer in shape.attention
            if layer.kind == "sliding"
        )
    )
