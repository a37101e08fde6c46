"""transformers on GPUs: eager layers, a cache that grows token by token, the whole prompt read in one go.

Sources: transformers 5.23.0, `DynamicCache` (one tensor a layer, concatenated at each step), `generate`
(logits of the last position only, made 32-bit), the gated network `down(act(gate(x)) * up(x))`.
"""

from __future__ import annotations

from provisioner.sizing.cache import bytes_of, per_token
from provisioner.sizing.model import Load, Part, Shape, Way, Where
from provisioner.sizing.quantize import DTYPES, held, width
from provisioner.sizing.runtimes import known, part_of, prompt_of, share_of, size

_FORMULA = "transformers 5.23.0, the shapes of what a layer holds at once"
# A checkpoint is cut into shards of at most this: save_pretrained's max_shard_size, 50 GB in transformers 5.
SHARD = 5_000_000_000


def fixed(shape: Shape, way: Way) -> tuple[Part, ...]:
    """Weights, the process, and what the GPU needs to be used at all."""
    weights = held(shape, "transformers", way.quantization, way.dtype)
    nbytes = weights.nbytes
    because = f"{shape.parameters / 1e9:.2f} billion values, {_as_what(way)}"
    on_gpu, off = offloaded(shape, way, nbytes)
    parts = [Part("weights", share_of(on_gpu, way.gpus), "vram", because, shape.source, shape.confidence)]
    if off:
        # accelerate brings a layer to the GPU when it is its turn, and drops it afterwards.
        parts.append(Part("offloaded weights", off, "ram", "layers that wait in RAM", _FORMULA, "memory"))
        parts.append(
            Part(
                "visiting layer",
                nbytes // shape.layers,
                "vram",
                "one layer at a time comes over",
                _FORMULA,
                "memory",
            )
        )
    loading = known(way, "loading")
    parts += [
        part_of(known(way, "context"), "context", "vram"),
        part_of(loading, "loading", "ram", int(min(SHARD, _file(shape)) * loading.share)),
        part_of(known(way, "process"), "process", "ram"),
    ]
    return tuple(parts)


def offloaded(shape: Shape, way: Way, nbytes: int) -> tuple[int, int]:
    """Bytes of weights on the GPUs, and in RAM because `gpu_layers` leaves them there."""
    if way.gpu_layers is None or way.gpu_layers >= shape.layers:
        return nbytes, 0
    off = nbytes * (shape.layers - way.gpu_layers) // shape.layers
    return nbytes - off, off


def sizes(shape: Shape, way: Way, load: Load) -> tuple[int, int, int, int]:
    """Bytes of cache, of a prompt's activations, of images, and of what the allocator wastes of those."""
    item = width(way, shape.weights)
    values = DTYPES[way.kv_dtype] if way.kv_dtype != "auto" else item
    cache = share_of(sum(cache_of(shape, load, values)) * load.batch, way.gpus)
    activations = activations_of(shape, load.batch, prompt_of(load), item)
    activations = int(activations * known(way, "activations").share)
    vision = vision_of(shape, load.images * load.batch, item)
    waste = int((cache + activations + vision) * known(way, "fragmentation").share)
    return cache, activations, vision, waste


def totals(shape: Shape, way: Way, load: Load) -> tuple[int, int]:
    """The same as two sums: of VRAM on each GPU, and of RAM."""
    return sum(sizes(shape, way, load)), 0


def growing(shape: Shape, way: Way, load: Load) -> tuple[Part, ...]:
    """The same as parts."""
    where: Where = "vram"
    cache, activations, vision, waste = sizes(shape, way, load)
    each = size(cache * way.gpus / load.batch / load.context)
    prompt = f"a prompt of {load.batch} × {prompt_of(load)} tokens read in one go"
    images = f"{load.images * load.batch} images in the encoder at once"
    return (
        Part("kv cache", cache, where, f"{load.batch} × {load.context} tokens, {each} each", _FORMULA, "doc"),
        Part("activations", activations, where, prompt, _FORMULA, "doc"),
        Part("vision", vision, where, images, _FORMULA, "memory"),
        part_of(known(way, "fragmentation"), "fragmentation", where, waste),
    )


def cache_of(shape: Shape, load: Load, values: float) -> tuple[int, int]:
    """Bytes of one sequence's cache at its largest, and of the layer that is there twice for a moment.

    torch.cat makes the longer tensor of a layer before the shorter one goes. Sliding layers keep a view of
    the prompt's tensor, all of it, until the first token is generated (`DynamicSlidingWindowLayer.update`).
    """
    prompt = prompt_of(load)
    reading = bytes_of(shape, prompt, values, beyond_window=prompt)
    generating = bytes_of(shape, load.context, values)
    twice = max(per_token(layer) for layer in shape.attention) * load.context * values
    return max(reading, generating), int(twice)


def activations_of(shape: Shape, batch: int, prompt: int, item: int) -> int:
    """Bytes at the widest moment of reading a prompt: feed-forward network, attention, or logits.

    Attention is the fused kind (scaled_dot_product_attention), which holds no scores; with several sequences
    it has a mask of one byte for each pair of tokens.
    """
    tokens = batch * prompt
    residual = tokens * shape.hidden * item
    network = tokens * 3 * shape.intermediate * item + 2 * residual
    widest = max(
        layer.heads * layer.head_size * 4 + layer.heads * layer.value_size * 2 for layer in shape.attention
    )
    attention = tokens * widest * item + 2 * residual
    norm = 3 * tokens * shape.hidden * 4 + residual
    logits = batch * shape.vocabulary * (item + 2 * 4) + residual
    mask = batch * prompt * prompt if batch > 1 else 0
    return max(network, attention, norm, logits) + mask


def vision_of(shape: Shape, images: int, item: int) -> int:
    """Bytes of the image encoder's widest layer for `images` at once."""
    if shape.vision is None or not images:
        return 0
    one = shape.vision
    return images * one.patches * (3 * one.intermediate + 4 * one.hidden) * item


def _file(shape: Shape) -> int:
    return sum(item.nbytes for item in shape.weights)


def _as_what(way: Way) -> str:
    if way.quantization != "none":
        return f"{way.quantization}, made while loading"
    return "as in the file" if way.dtype == "auto" else way.dtype
