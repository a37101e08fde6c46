"""The words of the memory planner: what a model is, how it is run, on what, and the bytes that come of it.

Bytes are bytes, bandwidths bytes a second. Every function of this room is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from provisioner.sourced import Confidence

Runtime = Literal["transformers", "vllm", "llama"]
Where = Literal["vram", "ram"]


@dataclass(frozen=True)
class Weights:
    """Tensors of one kind and one dtype, counted together.

    `group`: embedding, head, attention, mlp, experts, norm, vision, other. `dtype` as the file has it (BF16,
    Q4_K, …); `elements` in values, `nbytes` in the file; `matrices` says that they are two-dimensional
    weights of linear layers, which a runtime may quantise while it loads; `largest` is the largest single
    tensor in elements. `part` is the matrix within its layer where mixtures treat it apart (q, k, v, o, down,
    …), `count` how many tensors they are, `row` the values of one row: quantised blocks lie within rows.
    """

    group: str
    dtype: str
    elements: int
    nbytes: int
    matrices: bool = False
    largest: int = 0
    part: str = ""
    count: int = 1
    row: int = 0


@dataclass(frozen=True)
class Attention:
    """Layers that keep the same kind of cache.

    `full` keeps every token, `sliding` the last `window`, `mla` one compressed vector a token of `latent`
    values, `linear` a state of `state` values whatever the context.
    """

    kind: Literal["full", "sliding", "mla", "linear"]
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    window: int = 0
    latent: int = 0
    state: int = 0


@dataclass(frozen=True)
class Vision:
    """An image encoder; `tokens_per_image` for the image sizes a phone or the model's default has."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    patches: int
    tokens_per_image: int


@dataclass(frozen=True)
class Shape:
    """A model as far as its memory goes. `source` and `confidence` say where the numbers come from.

    `intermediate` is what the widest layer holds of one token at once: with experts, of those that are used.
    `format` is that of the weights files: safetensors or gguf.
    """

    name: str
    architecture: str
    weights: tuple[Weights, ...]
    attention: tuple[Attention, ...]
    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    context: int
    source: str
    confidence: Confidence
    vision: Vision | None = None
    tied: bool = False
    experts: int = 0
    experts_used: int = 0
    format: Literal["safetensors", "gguf"] = "safetensors"

    def __hash__(self) -> int:
        """Cheap: shapes are keys of caches, and comparing them is left to equality."""
        return hash((self.name, self.source, self.hidden, self.layers, self.context, len(self.weights)))

    @property
    def parameters(self) -> int:
        """All values of all tensors."""
        return sum(item.elements for item in self.weights)


@dataclass(frozen=True)
class Way:
    """How a model is run. `quantization`: none, int8, nf4, gptq4, awq4, or a GGUF kind (Q4_K_M, …), where
    `none` is the file as it is (for a GGUF: its own tensors).

    `gpu_layers` is llama.cpp's -ngl (None: all that fit); `utilization` vLLM's share of the GPU it takes.
    `dtype` is what activations and unquantised weights are in: float32, bfloat16, float16, auto.
    `whole_cache`: llama.cpp's swa_full, sliding layers keep the whole context.
    """

    runtime: Runtime
    device: Literal["cpu", "cuda"]
    quantization: str = "none"
    dtype: str = "auto"
    kv_dtype: str = "auto"
    gpu_layers: int | None = None
    utilization: float = 0.9
    gpus: int = 1
    whole_cache: bool = False


@dataclass(frozen=True)
class Load:
    """What is asked of the model: tokens of context (prompt and answer together) of each of `batch` requests
    at once, each with so many images. `prompt` is how many of the tokens are read in one go; 0: all but the
    last. `scored` tokens are read with all their logits kept, as the smoke test does with its passage.
    """

    context: int = 4096
    batch: int = 1
    images: int = 0
    prompt: int = 0
    scored: int = 0


@dataclass(frozen=True)
class Machine:
    """A box as far as memory goes. `vram_bytes` is what one GPU has (0: none); with `unified`
    memory the GPU's is the machine's. None: not known, and then nothing is said to fit or not to.
    """

    ram_bytes: int | None
    vram_bytes: int | None = 0
    gpus: int = 0
    capability: str | None = None
    ram_bandwidth: int | None = None
    vram_bandwidth: int | None = None
    link_bandwidth: int | None = None
    unified: bool = False
    cores: int | None = None


@dataclass(frozen=True)
class Part:
    """Bytes of one purpose: `name` (weights, kv cache, activations, context, graphs, vision, fragmentation,
    process, …), where they are (of each GPU, for vram), why so many, and how sure that is.

    `droppable`: pages of a file, resident while there is room, which nobody needs when there is none.
    """

    name: str
    nbytes: int
    where: Where
    why: str
    source: str
    confidence: Confidence
    droppable: bool = False


@dataclass(frozen=True)
class Budget:
    """What one way of running one model takes, part by part. `reserved` of vLLM is one of the parts."""

    shape: str
    way: Way
    load: Load
    parts: tuple[Part, ...]

    @property
    def vram_bytes(self) -> int:
        """Of each GPU, at the peak."""
        return sum(part.nbytes for part in self.parts if part.where == "vram")

    @property
    def ram_bytes(self) -> int:
        """Of the machine, at the peak: resident, mapped files included."""
        return sum(part.nbytes for part in self.parts if part.where == "ram")

    @property
    def needed_ram(self) -> int:
        """Of the machine, without what can be dropped: what has to fit."""
        return sum(part.nbytes for part in self.parts if part.where == "ram" and not part.droppable)


@dataclass(frozen=True)
class Verdict:
    """Whether a budget fits a machine, and how much room is left (negative: lacking); None: not known."""

    fits: bool | None
    vram_room: int | None
    ram_room: int | None
    because: str


@dataclass(frozen=True)
class Variant:
    """One way that was judged for a box: the largest context and batch that fit, speed, and what it loses.

    `tokens_per_second` is an estimate from bandwidth, None where that is not known; `loss` is a sentence with
    its source.
    """

    way: Way
    budget: Budget
    verdict: Verdict
    largest_context: int
    largest_batch: int
    tokens_per_second: float | None
    loss: str


@dataclass(frozen=True)
class Answer:
    """What the memory planner says of a model and a box: the way that was asked for, the best one, others.

    `gigabytes` says what each further gigabyte of VRAM would buy: (bytes of VRAM, sentence).
    """

    chosen: Variant
    best: Variant | None
    variants: tuple[Variant, ...]
    gigabytes: tuple[tuple[int, str], ...] = ()
    published: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
