"""Bytes of the weights once they are written the way a runtime is asked to hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.sizing.data import Mixture, Quantization, blocks, quantizations
from provisioner.sizing.model import Runtime, Shape, Way, Weights
from provisioner.sizing.tensors import PLAIN

# Bytes of one value of what activations and caches may be in.
DTYPES = {"float32": 4, "float16": 2, "bfloat16": 2, "f32": 4, "f16": 2, "bf16": 2, "fp8": 1, "q8_0": 34 / 32}


@dataclass(frozen=True)
class Held:
    """The weights as a runtime holds them, by group, in bytes."""

    groups: tuple[tuple[str, int], ...]

    @property
    def nbytes(self) -> int:
        """All of them."""
        return sum(nbytes for _, nbytes in self.groups)

    def of(self, *names: str) -> int:
        """Those of some groups."""
        return sum(nbytes for group, nbytes in self.groups if group in names)


def can_quantize(shape: Shape, runtime: str) -> bool:
    """Whether the weights are plain numbers still: what is quantised already is not quantised again.

    llama.cpp's converter unpacks the formats of safetensors first.
    """
    if runtime == "llama" and shape.format == "safetensors":
        return True
    return all(item.dtype in PLAIN for item in shape.weights)


def can_divide(shape: Shape, way: Way, gpus: int) -> bool:
    """Whether so many GPUs can share the model: by heads with vLLM, by layers otherwise."""
    if way.runtime == "vllm":
        return all(layer.heads % gpus == 0 for layer in shape.attention)
    return gpus <= shape.layers


def known_quantization(shape: Shape, way: Way) -> Quantization:
    """The quantisation a way names. Raises UsageError for one that its runtime, device or weights lack."""
    entry = quantizations().get(way.quantization)
    fitting = [name for name, item in quantizations().items() if way.runtime in item.runtimes]
    if entry is None or way.runtime not in entry.runtimes:
        raise UsageError(
            f"{way.runtime} has no quantization {way.quantization}",
            hint=nearest_hint(way.quantization, fitting),
        )
    if way.device not in entry.devices:
        raise UsageError(
            f"{way.quantization} weights need a GPU",
            hint="choose a GGUF kind such as Q4_K_M, which runs on a CPU",
        )
    if way.quantization != "none" and not can_quantize(shape, way.runtime):
        raise UsageError(
            f"the weights of {shape.name} are quantised already",
            hint="leave the quantization out: they run as they are",
        )
    if shape.format == "gguf" and way.runtime == "vllm":
        raise UsageError(
            f"{shape.name} is a GGUF, which is not planned with vLLM",
            hint="llama runs it as it is; vLLM wants the original weights, in safetensors",
        )
    return entry


@lru_cache(maxsize=512)
def held(shape: Shape, runtime: Runtime, quantization: str, dtype: str) -> Held:
    """What the weights take in memory; `dtype` as in Way, for what is not quantised."""
    kind = quantizations()[quantization]
    sums: Counter[str] = Counter()
    for item in shape.weights:
        sums[item.group] += _bytes(shape, item, runtime, kind, dtype)
    return Held(tuple(sums.items()))


def _bytes(shape: Shape, item: Weights, runtime: Runtime, kind: Quantization, dtype: str) -> int:
    if runtime == "llama":
        return _gguf(shape, item, kind)
    plain = _plain(shape, item, dtype)
    if not item.matrices or not kind.blocks or item.group in kind.leaves:
        return plain
    block = blocks()[kind.blocks]
    # LLM.int8 has a 32-bit scale for each row of the matrix.
    scales = 4 * item.elements // max(1, item.row) if kind.blocks == "INT8" else 0
    return min(plain, -(-item.elements * block.nbytes // block.values) + scales)


def _plain(shape: Shape, item: Weights, dtype: str) -> int:
    """Unquantised: in `dtype`, or as the file has it; blocks of a GGUF are unpacked."""
    if item.dtype in PLAIN:
        width = DTYPES[dtype] if dtype != "auto" else min(PLAIN[item.dtype], 4.0)
        return int(item.elements * width)
    if shape.format == "gguf":
        return int(item.elements * DTYPES.get(dtype, 4))
    return item.nbytes


def _gguf(shape: Shape, item: Weights, kind: Quantization) -> int:
    if shape.format == "gguf" and kind.name == "none":
        return item.nbytes
    if item.dtype.startswith("F8"):  # the converter unpacks 8-bit floats
        item = replace(item, dtype="BF16", matrices=True)
    if not item.matrices:
        # What is no matrix goes to 32 bits; packed values keep theirs (MXFP4 experts).
        return 4 * item.elements if item.dtype in PLAIN else item.nbytes
    if kind.name == "none" or item.group == "vision":
        return 2 * item.elements
    if item.group == "head" or (item.group == "embedding" and shape.tied):
        block = kind.blocks if kind.blocks in ("F16", "Q8_0") else "Q6_K"
        if kind.blocks not in PLAIN and item.row % blocks()[kind.blocks].values:
            block = "Q8_0"
        return _in_blocks(item, block, item.elements)
    if item.group == "embedding":
        return _in_blocks(item, kind.blocks, item.elements)
    return sum(_mixed(shape, item, kind).values())


@lru_cache(maxsize=512)
def repacked(shape: Shape, quantization: str) -> int:
    """Bytes of the matrices that llama.cpp's CPU kernels have a second time, in another order."""
    kind = quantizations()[quantization]
    total = 0
    for item in shape.weights:
        if item.group in ("embedding", "vision"):
            continue
        if shape.format == "gguf" and quantization == "none":
            total += item.nbytes if item.dtype in blocks() and blocks()[item.dtype].repacked else 0
        elif kind.blocks and item.matrices and item.group != "head":
            total += sum(size for name, size in _mixed(shape, item, kind).items() if blocks()[name].repacked)
    return total


def _mixed(shape: Shape, item: Weights, kind: Quantization) -> dict[str, int]:
    """Bytes by block format: layer by layer, the last rule that applies. Layers are of one size."""
    rules = [rule for rule in kind.mixture if rule.part == item.part and _applies(shape, rule)]
    if not rules:
        return _in_block(item, kind.blocks, item.elements)
    layers = max(1, shape.layers)
    chosen = [kind.blocks] * layers
    for rule in rules:
        for layer in range(layers):
            if _touches(rule.layers, layer, layers):
                chosen[layer] = rule.dtype
    sums: Counter[str] = Counter()
    for block, count in Counter(chosen).items():
        sums.update(_in_block(item, block, item.elements * count // layers))
    return dict(sums)


def _applies(shape: Shape, rule: Mixture) -> bool:
    if rule.when == "gqa4":
        return any(layer.kv_heads and layer.heads // layer.kv_heads >= 4 for layer in shape.attention)
    return True


def _touches(which: str, layer: int, layers: int) -> bool:
    if which == "more":  # llama.cpp: use_more_bits
        return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
    if which == "eighth":
        return layer < layers // 8
    if which == "sixteenth":
        return layer < layers // 16
    if which.startswith("first:"):
        return layer < int(which.removeprefix("first:"))
    return True


def _in_blocks(item: Weights, name: str, elements: int) -> int:
    return sum(_in_block(item, name, elements).values())


def _in_block(item: Weights, name: str, elements: int) -> dict[str, int]:
    """The format that the rows of this matrix can have, and the bytes in it."""
    block = blocks()[name]
    while item.row % block.values and block.other:
        block = blocks()[block.other]
    return {block.name: -(-elements * block.nbytes // block.values)}


def width(way: Way, weights: Sequence[Weights]) -> int:
    """Bytes of one value of what a runtime computes in."""
    if way.dtype != "auto":
        return int(DTYPES[_dtype(way.dtype)])
    first = next((item.dtype for item in weights if item.dtype in PLAIN), "BF16")
    return 4 if first == "F32" else 2


def _dtype(name: str) -> str:
    if name not in DTYPES:
        raise UsageError(f"no dtype {name}", hint=nearest_hint(name, ["auto", *DTYPES]))
    return name
