"""vLLM: takes a share of the GPU whatever the model needs, and fills what is left of it with KV cache.

It starts only if, beside weights, activations of a full step and CUDA graphs, one request of the whole
context fits into that share. Sources: vLLM's `determine_available_memory` and `KVCacheSpec`.
"""

from __future__ import annotations

from functools import cache

from provisioner.sizing.cache import bytes_of
from provisioner.sizing.data import constant
from provisioner.sizing.model import Attention, Load, Machine, Part, Shape, Way
from provisioner.sizing.quantize import DTYPES, held, width
from provisioner.sizing.runtimes import known, part_of, share_of, size
from provisioner.sizing.runtimes.transformers import SHARD, vision_of

_FORMULA = "vLLM, gpu_worker.determine_available_memory and kv_cache_interface"
BLOCK = 16


def fixed(shape: Shape, way: Way) -> tuple[Part, ...]:
    """Weights, the step that its start measures, graphs, the process."""
    weights = held(shape, "vllm", way.quantization, way.dtype).nbytes
    item = width(way, shape.weights)
    tokens, sequences = known(way, "tokens").nbytes, known(way, "sequences").nbytes
    network = tokens * (3 * shape.intermediate // way.gpus + 2 * shape.hidden) * item
    logits = sequences * shape.vocabulary * known(way, "sampling").nbytes
    images = vision_of(shape, 1, item)
    activations = int(max(network, logits, images) * known(way, "activations").share)
    waste = known(way, "fragmentation")
    return (
        Part("weights", share_of(weights, way.gpus), "vram",
             f"{shape.parameters / 1e9:.2f} billion values, {_as_what(way)}", shape.source, shape.confidence),
        Part("activations", activations, "vram",
             f"a step of {tokens} tokens, logits of {sequences} sequences, an image", _FORMULA, "memory"),
        part_of(known(way, "graphs"), "graphs", "vram"),
        part_of(known(way, "context"), "context", "vram"),
        part_of(waste, "fragmentation", "vram", int(activations * waste.share)),
        part_of(known(way, "process"), "process", "ram"),
        Part("loading", min(SHARD, sum(part.nbytes for part in shape.weights)), "ram",
             "of the largest shard, which is read through RAM", _FORMULA, "memory"),
    )  # fmt: skip


def totals(shape: Shape, way: Way, load: Load) -> tuple[int, int]:
    """VRAM on each GPU and RAM of what a load changes: the cache of its requests, in blocks of 16 tokens.

    Sliding layers keep a step's tokens besides their window.
    """
    values = DTYPES[way.kv_dtype] if way.kv_dtype != "auto" else width(way, shape.weights)
    step = known(way, "tokens").nbytes
    one = bytes_of(parallel(shape, way.gpus), load.context, values, beyond_window=step, block=BLOCK)
    return one * load.batch, 0


def growing(shape: Shape, way: Way, load: Load) -> tuple[Part, ...]:
    """The same as a part."""
    nbytes, _ = totals(shape, way, load)
    each = size(nbytes / load.batch / load.context)
    why = f"{load.batch} × {load.context} tokens in blocks of {BLOCK}, {each} each"
    return (Part("kv cache", nbytes, "vram", why, _FORMULA, "doc"),)


def reserved(way: Way, machine: Machine, needed: int) -> Part:
    """What it takes of the GPU beside what is needed: cache for more requests."""
    total = share(way, machine)
    return Part(
        "reserved", max(0, total - needed), "vram",
        f"gpu_memory_utilization {way.utilization:g}: the rest of its share, as cache for more requests",
        _FORMULA, "doc",
    )  # fmt: skip


def share(way: Way, machine: Machine) -> int:
    """Bytes of each GPU that vLLM may take."""
    own = int((machine.vram_bytes or 0) * (1 - constant("machine", "vram").share))
    return int(own * way.utilization)


@cache
def parallel(shape: Shape, gpus: int) -> Shape:
    """A model as one of several GPUs has it: heads are divided, and no KV head is cut."""
    if gpus == 1:
        return shape
    layers = tuple(
        Attention(
            layer.kind, layer.layers, max(1, layer.heads // gpus), max(1, layer.kv_heads // gpus),
            layer.head_size, layer.value_size, layer.window, layer.latent, layer.state // gpus,
        )
        for layer in shape.attention
    )  # fmt: skip
    return Shape(**{**vars(shape), "attention": layers})


def _as_what(way: Way) -> str:
    if way.quantization != "none":
        return f"{way.quantization}, from a checkpoint quantised so"
    return "as in the file" if way.dtype == "auto" else way.dtype
