"""transformers without a GPU: what stays mapped, what is copied, and what glibc's heap does not give back.

Everything here was measured (docs/memory.md). Weights in the dtype of their file stay mapped and count once;
others are made anew, and for a moment both are there, which is often the peak of the whole run. Sources:
transformers 5.23.0 and torch 2.13.0, `sdpa_attention_forward` (keys and values repeated for each head) and
`scaled_dot_product_attention` (a mask of bytes is made one of numbers).
"""

from __future__ import annotations

from typing import NamedTuple

from provisioner.sizing.model import Load, Part, Shape, Way
from provisioner.sizing.quantize import DTYPES, held, width
from provisioner.sizing.runtimes import known, part_of, prompt_of, size
from provisioner.sizing.runtimes.transformers import cache_of, vision_of
from provisioner.sizing.tensors import PLAIN

_FORMULA = "transformers 5.23.0 and torch 2.13.0, what a layer holds at once"
_LOADING = "safetensors 0.8.0 maps a file whole; transformers 5.23.0, modeling_gguf_pytorch_utils"


def fixed(shape: Shape, way: Way) -> tuple[Part, ...]:
    """Weights, the process, and the tokenizer in it."""
    weights = held(shape, "transformers", way.quantization, way.dtype).nbytes
    copied = copied_bytes(shape, way)
    as_what = "as in the file" if way.dtype == "auto" else way.dtype
    mapped = "mapped from the file" if not copied else "made from the file while it loads"
    tokenizer = known(way, "tokenizer")
    return (
        Part("weights", weights, "ram", f"{shape.parameters / 1e9:.2f} billion values, {as_what}, {mapped}",
             shape.source, shape.confidence),
        part_of(known(way, "process"), "process", "ram"),
        part_of(tokenizer, "tokenizer", "ram", int(tokenizer.share * shape.vocabulary)),
    )  # fmt: skip


class Sizes(NamedTuple):
    """Bytes of what a load changes, each beyond those before it."""

    cache: int
    activations: int
    logits: int
    vision: int
    waste: int
    loading: int


def sizes(shape: Shape, way: Way, load: Load) -> Sizes:
    """Cache, activations, logits that are kept, and what loading takes beyond all of these."""
    item = width(way, shape.weights)
    values = DTYPES[way.kv_dtype] if way.kv_dtype != "auto" else item
    kept = int(sum(cache_of(shape, load, values)) * load.batch)
    prompt = prompt_of(load)
    active = activations_of(shape, load.batch, prompt, item)
    beyond = max(0, active + masks_of(shape, load.batch, prompt, item) - late_bytes(shape, way))
    vision = vision_of(shape, load.images * load.batch, item)
    # Masks and a passage's logits are large pieces, which the system has back as soon as they are let go.
    wasted = int((active + vision) * known(way, "fragmentation").share)
    logits = max(0, load.scored * shape.vocabulary * item - beyond - wasted)
    running = kept + beyond + wasted + logits + vision
    return Sizes(kept, beyond, logits, vision, wasted, max(0, loading_bytes(shape, way) - running))


def totals(shape: Shape, way: Way, load: Load) -> tuple[int, int]:
    """The same as two sums: of VRAM, and of RAM that cannot be dropped."""
    found = sizes(shape, way, load)
    return 0, sum(found) - (0 if shape.format == "gguf" else found.loading)


def growing(shape: Shape, way: Way, load: Load) -> tuple[Part, ...]:
    """The same as parts."""
    found = sizes(shape, way, load)
    each = size(found.cache / load.batch / load.context)
    prompt = f"a prompt of {load.batch} × {prompt_of(load)} tokens read in one go"
    if late := late_bytes(shape, way):
        prompt += f", beyond the {size(late)} of the output, which is read from the disk only after that"
    scored = f"of {load.scored} tokens, when the activations are gone"
    images = f"{load.images * load.batch} images in the encoder at once"
    loading = "the file beside the weights made of it, beyond what running takes later"
    return (
        Part(
            "kv cache",
            found.cache,
            "ram",
            f"{load.batch} × {load.context} tokens, {each} each",
            _FORMULA,
            "ran",
        ),
        Part("activations", found.activations, "ram", prompt, _FORMULA, "ran"),
        Part("logits", found.logits, "ram", scored, _FORMULA, "ran"),
        Part("vision", found.vision, "ram", images, _FORMULA, "memory"),
        part_of(known(way, "fragmentation"), "fragmentation", "ram", found.waste),
        Part("loading", found.loading, "ram", loading, _LOADING, "ran", shape.format != "gguf"),
    )


def late_bytes(shape: Shape, way: Way) -> int:
    """Mapped weights of the output: not resident before the first token is computed, after the prompt."""
    if copied_bytes(shape, way):
        return 0
    return sum(item.nbytes for item in shape.weights if item.group == ("embedding" if shape.tied else "head"))


def copied_bytes(shape: Shape, way: Way) -> int:
    """Bytes of the file that are made anew in another dtype, and so are there twice while it loads."""
    if shape.format == "gguf":
        return sum(item.nbytes for item in shape.weights)
    if way.dtype == "auto":
        return 0
    wanted = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}.get(way.dtype, "")
    return sum(item.nbytes for item in shape.weights if item.dtype in PLAIN and item.dtype != wanted)


def loading_bytes(shape: Shape, way: Way) -> int:
    """What loading takes at its peak beside the weights that stay."""
    if shape.format != "gguf":
        return copied_bytes(shape, way)
    # Every tensor is unpacked to 32 bits before the first one is put into the model.
    lists = int(known(way, "unpacking").share * shape.vocabulary)
    return sum(item.elements for item in shape.weights) * 4 + copied_bytes(shape, way) + lists


def activations_of(shape: Shape, batch: int, prompt: int, item: int) -> int:
    """Bytes at the widest moment of reading a prompt: the network, attention, a norm, or the last logits."""
    tokens = batch * prompt
    residual = 2 * tokens * shape.hidden * item
    network = tokens * 3 * shape.intermediate * item + residual
    # q before and after its rotation, the answer, and keys and values repeated for each head.
    widest = max(layer.heads * (4 * layer.head_size + layer.value_size) for layer in shape.attention)
    attention = tokens * widest * item + residual
    norm = 3 * tokens * shape.hidden * 4 + residual // 2
    logits = batch * shape.vocabulary * (item + 2 * 4) + residual // 2
    return max(network, attention, norm, logits)


def masks_of(shape: Shape, batch: int, prompt: int, item: int) -> int:
    """Bytes of the masks: one for each kind of layer, and once more in numbers while attention uses it.

    They are made where prompts of a batch are filled up to one length, or a prompt is longer than a window.
    """
    kinds = {
        layer.kind
        for layer in shape.attention
        if layer.kind != "linear" and (batch > 1 or (layer.kind == "sliding" and prompt > layer.window))
    }
    return batch * prompt * prompt * (len(kinds) + (item if kinds else 0))
