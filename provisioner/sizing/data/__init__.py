"""What the memory planner knows: sourced data files beside this module, checked as they are read.

`processes.yml` is what a process takes whatever the model; `quantizations.yml` block sizes, mixtures and
losses; `families.yml` what a configuration leaves to its class; `published.yml` figures of others.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import msgspec

from provisioner import sourced
from provisioner.sourced import Confidence, Entry, Sourced


class Constant(Sourced, frozen=True):
    """What a process takes beside the model: so many bytes, or a share of something that `why` names.

    `process` is RUNTIME.DEVICE (transformers.cpu, llama.cpp.cuda, …) or `machine`; `what` is the purpose.
    """

    process: str
    what: str
    why: str
    nbytes: int = 0
    share: float = 0.0


class Mixture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some layers of some matrices in another block format than the rest (llama.cpp's mixtures).

    `layers`: all, more (llama.cpp's use_more_bits), first:N, eighth, sixteenth (of the layers, from the
    first); `when`: gqa4 (four heads or more share a key).
    """

    part: str
    dtype: str
    layers: str = "all"
    when: str = ""


class Quantization(Sourced, frozen=True):
    """A way to write weights with fewer bits.

    `blocks` is the block format of most matrices; `mixture` what differs, the last that applies wins.
    `leaves` are groups that stay in 16 bits. `perplexity` is how much it rises, as a share; None where
    nobody was found who measured it. `loss` says that in words, with `loss_source` and `loss_confidence`.
    `rank` orders by loss, measured or not; 0 for none. `needs` is what must be there first.
    """

    name: str
    runtimes: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu", "cuda")
    blocks: str = ""
    mixture: tuple[Mixture, ...] = ()
    leaves: tuple[str, ...] = ()
    perplexity: float | None = None
    rank: float = 0.0
    loss: str = ""
    loss_source: str = ""
    loss_confidence: Confidence = "unconfirmed"
    needs: str = ""


class Block(Sourced, frozen=True):
    """A block format: `values` values in `nbytes` bytes; `other` is taken for rows it does not divide.

    `repacked`: llama.cpp's kernels for x86 with AVX2 keep matrices of it a second time, in another order.
    """

    name: str
    values: int
    nbytes: int
    other: str = ""
    repacked: bool = False


class Family(Sourced, frozen=True):
    """What a configuration class of transformers does that config.json leaves unsaid.

    `pattern` n: every nth layer keeps all tokens, the others the window; `full_interval` n: every nth layer
    has attention at all; `norms` of hidden size a layer has; `derives` is false where the tensors do not
    follow from the configuration as far as it is understood here.
    """

    model_type: str
    pattern: int = 0
    all_slide: bool = False
    full_interval: int = 0
    head_dim: int = 0
    gateless: bool = False
    norms: int = 2
    qkv_bias: bool = False
    qk_norm: bool = False
    tied: bool | None = None
    output_gate: bool = False
    derives: bool = True


class Published(Sourced, frozen=True):
    """A figure of others, shown beside ours. `doubt` says why it is not the truth; `context` 0: not said."""

    model: str
    nbytes: int
    what: str
    runtime: Literal["transformers", "vllm", "llama", ""] = ""
    quantization: str = ""
    context: int = 0
    batch: int = 0
    doubt: str = ""


def read(name: str, kind: type[Entry]) -> tuple[Entry, ...]:
    """The entries of NAME.yml, as sourced.read has them."""
    return sourced.read("provisioner.sizing", name, kind)


@cache
def _constants() -> dict[tuple[str, str], Constant]:
    return {(entry.process, entry.what): entry for entry in read("processes", Constant)}


def constant(process: str, what: str) -> Constant:
    """What `process` takes for `what`. KeyError for one that the data lacks: that is a defect of ours."""
    return _constants()[process, what]


@cache
def quantizations() -> dict[str, Quantization]:
    """Every quantisation that is known, by name."""
    return {entry.name: entry for entry in read("quantizations", Quantization)}


@cache
def blocks() -> dict[str, Block]:
    """Every block format, by name."""
    return {entry.name: entry for entry in read("blocks", Block)}


@cache
def _families() -> dict[str, Family]:
    return {entry.model_type: entry for entry in read("families", Family)}


_UNKNOWN = Family(model_type="", source="none", confidence="unconfirmed")


def family(model_type: str) -> Family:
    """What is known of a model type; of an unknown one, that it is like Llama."""
    return _families().get(model_type, _UNKNOWN)


def is_known(model_type: str) -> bool:
    """Whether anything is."""
    return model_type in _families()


def published() -> tuple[Published, ...]:
    """Figures of others."""
    return read("published", Published)
