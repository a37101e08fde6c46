"""Tokens a second when generating, as far as memory decides it.

Each step reads every weight that it uses once, and the cache of each request; reading them takes longer than
computing with them until batches are large. So the time of a step is bytes over bandwidth. What waits in
RAM is computed there by llama.cpp (the RAM's bandwidth), and crosses the link each step with transformers.
"""

from __future__ import annotations

from provisioner.sizing.cache import bytes_of
from provisioner.sizing.data import constant
from provisioner.sizing.model import Load, Machine, Shape, Way
from provisioner.sizing.quantize import DTYPES, held, width
from provisioner.sizing.runtimes import known, llama, transformers


def tokens_per_second(shape: Shape, way: Way, load: Load, machine: Machine) -> float | None:
    """Of all requests together; None where a bandwidth that counts is not known."""
    read = bytes_read(shape, way, load)
    weights = held(shape, way.runtime, way.quantization, way.dtype).nbytes
    cache = read - active(shape, way)
    share = known(way, "bandwidth").share
    if way.device == "cpu":
        return _rate(load, [(read, machine.ram_bandwidth, share)])
    vram_bandwidth = machine.ram_bandwidth if machine.unified else machine.vram_bandwidth
    if way.runtime == "vllm":
        return _rate(load, [(read / way.gpus, vram_bandwidth, share)])
    if way.runtime == "transformers":
        _, off = transformers.offloaded(shape, way, weights)
        link = constant("machine", "link").share
        return _rate(load, [(read, vram_bandwidth, share), (off, machine.link_bandwidth, link)])
    on = llama.layers_on_gpu(shape, way) / llama.all_layers(shape)
    ram = known(Way("llama", "cpu"), "bandwidth").share
    here = active(shape, way) + cache
    return _rate(load, [(here * on, vram_bandwidth, share), (here * (1 - on), machine.ram_bandwidth, ram)])


def bytes_read(shape: Shape, way: Way, load: Load) -> int:
    """Bytes that one step reads: the weights that it uses, and the caches half filled on average."""
    values = DTYPES[way.kv_dtype] if way.kv_dtype != "auto" else width(way, shape.weights)
    cache = bytes_of(shape, max(1, load.context // 2), values)
    return active(shape, way, load.batch) + cache * load.batch


def active(shape: Shape, way: Way, batch: int = 1) -> int:
    """Bytes of the weights that one step uses: no vision, no embeddings, the experts that are chosen."""
    weights = held(shape, way.runtime, way.quantization, way.dtype)
    embedding, experts = weights.of("embedding"), weights.of("experts")
    used = weights.nbytes - weights.of("vision") - experts - (0 if shape.tied else embedding)
    if shape.experts:
        # Requests choose their experts apart: of a batch, so many different ones are expected.
        untouched = (1 - shape.experts_used / shape.experts) ** batch
        used += int(experts * (1 - untouched))
    return used


def _rate(load: Load, reads: list[tuple[float, int | None, float]]) -> float | None:
    seconds = 0.0
    for nbytes, bandwidth, share in reads:
        if nbytes <= 0:
            continue
        if not bandwidth:
            return None
        seconds += nbytes / (bandwidth * share)
    return load.batch / seconds if seconds else None
