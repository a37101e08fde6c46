"""Tensors counted together by what they are for: from their names, in both formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Protocol

from provisioner.sizing.model import Weights

# Bytes of a value of the plain types, as safetensors and GGUF spell them.
PLAIN = {"F64": 8.0, "F32": 4.0, "F16": 2.0, "BF16": 2.0}

_VISION = re.compile(
    r"(^|\.)(visual|vision_tower|vision_model|vision_encoder|vision_embed_tokens|multi_modal_projector|"
    r"image_newline|embed_vision|audio_tower|embed_audio)\b|^(v|mm|a)\."
)
# The first that is found in a name wins.
_GROUPS: tuple[tuple[str, str], ...] = (
    (r"norm|\bln_|layernorm", "norm"),
    (r"lm_head|embed_out|^output\.weight$|output_layer", "head"),
    (r"embed_tokens|word_embeddings|\bwte\b|\bwpe\b|token_embd|position_embd|embd", "embedding"),
    (r"(?<!shared_)experts\b|_exps\b|gate_up_exps", "experts"),
    (r"attn|attention|mixer|ssm_|linear_attn|mamba|conv", "attention"),
    (r"mlp|ffn|feed_forward|block_sparse_moe|experts|\bfc[12]\b|gate|dense_", "mlp"),
)
_PARTS: tuple[tuple[str, str], ...] = (
    (r"qkv|query_key_value|c_attn|Wqkv", "qkv"),
    (r"kv_b", "kv_b"),
    (r"q_proj|attn_q\b|q_b|attn_q_b", "q"),
    (r"k_proj|attn_k\b", "k"),
    (r"v_proj|attn_v\b", "v"),
    (r"o_proj|attn_output|out_proj|attention\.dense", "o"),
    (r"down|\bw2\b|ffn_down|c_proj|dense_4h_to_h|\bfc2\b", "down"),
    (r"gate_inp|router|mlp\.gate\.|block_sparse_moe\.gate\.", "router"),
    (r"gate|up|\bw[13]\b|c_fc|h_to_4h|\bfc1\b", "up"),
)


class Tensor(Protocol):
    """What the planner needs of a tensor; `shape` has the outermost dimension first."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> Sequence[int]: ...
    @property
    def nbytes(self) -> int: ...


@dataclass
class Table:
    """Counts tensors together that every quantisation treats alike."""

    dtype: str = "BF16"
    _sums: dict[tuple[str, str, str, bool, int], list[int]] = field(default_factory=dict)

    def add(self, group: str, part: str, shape: Sequence[int], count: int = 1, dtype: str = "",
            nbytes: int | None = None) -> None:  # fmt: skip
        """`count` tensors of `shape`; of the plain `dtype` (the table's) unless `nbytes` are given."""
        dtype = dtype or self.dtype
        elements = prod(shape)
        if not elements or not count:
            return
        size = int(elements * PLAIN[dtype]) if nbytes is None else nbytes
        # Biases, norms and routers are no matrices that anything quantises; nor are packed values.
        matrices = len(shape) >= 2 and group != "norm" and part != "router" and dtype in PLAIN
        key = (group, part, dtype, matrices, shape[-1])
        sums = self._sums.setdefault(key, [0, 0, 0, 0])
        sums[0] += elements * count
        sums[1] += size * count
        sums[2] = max(sums[2], elements)
        sums[3] += count

    def weights(self) -> tuple[Weights, ...]:
        """What was added, in the order in which each kind came first."""
        return tuple(
            Weights(
                group=group, part=part, dtype=dtype, matrices=matrices, row=row, elements=elements,
                nbytes=nbytes, largest=largest, count=count,
            )
            for (group, part, dtype, matrices, row), (elements, nbytes, largest, count) in self._sums.items()
        )  # fmt: skip


def grouped(tensors: Iterable[Tensor]) -> tuple[Weights, ...]:
    """The tensors of a checkpoint, counted together."""
    table = Table()
    for tensor in tensors:
        group, part = kind_of(tensor.name)
        table.add(group, part, tensor.shape or (1,), dtype=tensor.dtype, nbytes=tensor.nbytes)
    return table.weights()


def kind_of(name: str) -> tuple[str, str]:
    """Group and part of a tensor, by its name in a checkpoint of transformers or in a GGUF."""
    if _VISION.search(name):
        return "vision", ""
    group = next((group for pattern, group in _GROUPS if re.search(pattern, name)), "other")
    if group in ("norm", "head", "embedding", "other"):
        return group, ""
    # The last words say which matrix it is: "mlp.experts.3.down_proj.weight".
    tail = name.split("experts", 1)[-1] if group == "experts" else name
    part = next((part for pattern, part in _PARTS if re.search(pattern, tail)), "")
    if group != "attention" and part in ("q", "k", "v", "o", "qkv"):
        part = ""
    return group, part
