"""A model's shape from its own description: config.json of Hugging Face, or the metadata of a GGUF.

The weights come from the tensors themselves where their headers were read (`tensors`), and from the numbers
of the configuration where they were not (see `derived`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from provisioner.sizing import derived, gguf
from provisioner.sizing import fields as limits
from provisioner.sizing.data import family, is_known
from provisioner.sizing.fields import Fields, ShapeError
from provisioner.sizing.layers import attention_of
from provisioner.sizing.model import Shape, Vision, Weights
from provisioner.sizing.tensors import Tensor, grouped
from provisioner.sourced import Confidence

__all__ = ["ShapeError", "from_config", "from_gguf", "with_projector"]

from_gguf = gguf.from_gguf
with_projector = gguf.with_projector
# The screen of a common phone, in pixels: what an image is where the encoder takes any size.
PHONE = (1080, 2400)


def from_config(
    name: str,
    config: Mapping[str, Any],
    tensors: Sequence[Tensor] | None,
    source: str,
    confidence: Confidence = "ran",
    weights: tuple[Weights, ...] | None = None,
) -> Shape:
    """The shape that a config.json tells of; `source` and `confidence` are of these numbers.

    `tensors` are those of its safetensors headers, None when they were not read; `weights` are such, counted
    together already. Raises ShapeError naming the field that is missing or cannot be.
    """
    if not isinstance(config, Mapping):
        raise ShapeError(f"{name}: config.json holds no fields", hint="have config.json fetched again")
    whole = Fields(name, config)
    text = _text(whole)
    hidden = text.need("hidden_size or n_embd or d_model", limits.SIZE)
    layers = text.need("num_hidden_layers or n_layer or num_layers or n_layers", limits.LAYERS)
    attention = attention_of(text)
    if weights is None and tensors is not None:
        weights = grouped(tensors)
    tied = _tied(whole, text)
    if weights is None:
        weights = derived.weights_of(whole, text, attention, tied)
        if not is_known(kind := text.text("model_type")):
            confidence = "unconfirmed"
            source += f"; its tensors as Llama would have them, as nothing is known of {kind or 'its type'}"
    else:
        tied = not any(item.group == "head" for item in weights)
    experts = derived.experts_of(text)
    used = _experts_used(text, experts)
    intermediate = derived.intermediate_of(text)
    if experts:
        intermediate = max(
            intermediate if derived.sparse_layers(text, layers)[0] else 0,
            used * derived.expert_size(text) + derived.shared_size(text),
        )
    return Shape(
        name=name,
        architecture=whole.text("model_type") or "unknown",
        weights=weights,
        attention=attention,
        hidden=hidden,
        layers=layers,
        intermediate=intermediate,
        vocabulary=text.need("vocab_size or padded_vocab_size", limits.VOCABULARY),
        context=_context(text),
        source=source,
        confidence=confidence,
        vision=_vision(whole, hidden),
        tied=tied,
        experts=experts,
        experts_used=used,
    )


def _text(whole: Fields) -> Fields:
    """The part of a configuration that describes the language model."""
    for name in ("text_config", "llm_config", "language_config"):
        if whole.has(name):
            return whole.inner(name)
    return whole


def _tied(whole: Fields, text: Fields) -> bool:
    for fields in (whole, text):
        if fields.has("tie_word_embeddings"):
            return fields.flag("tie_word_embeddings", default=True)
    known = family(text.text("model_type")).tied
    # transformers 4 leaves the field out of config.json exactly where it is true.
    return True if known is None else known


def _experts_used(text: Fields, experts: int) -> int:
    if not experts:
        return 0
    names = "num_experts_per_tok or num_experts_per_token or moe_topk or experts_per_token or moe_top_k"
    used = text.need(names, limits.EXPERTS)
    if used > experts:
        raise text.wrong(names.split(" or ", maxsplit=1)[0], f"is {used}, more than the {experts} experts")
    return used


def _context(text: Fields) -> int:
    names = (
        "max_position_embeddings or n_positions or seq_length or max_sequence_length or n_ctx or max_seq_len"
    )
    return text.need(names, limits.CONTEXT)


def _vision(whole: Fields, hidden: int) -> Vision | None:
    if not whole.has("vision_config"):
        return None
    vision = whole.inner("vision_config")
    patch = vision.number("patch_size", limits.SIZE) or 14
    merge = vision.number("spatial_merge_size", limits.HEADS)
    if merge:  # images keep their size
        grain = patch * merge
        patches = merge * merge * prod(-(-side // grain) for side in PHONE)
    else:
        merge = 1
        patches = max(1, ((vision.number("image_size or img_size", limits.SIZE) or 448) // patch) ** 2)
    tokens = whole.number("mm_tokens_per_image or image_seq_length", limits.CONTEXT)
    width = vision.need("hidden_size or embed_dim", limits.SIZE)
    gated = whole.text("model_type").startswith("glm4v")
    inner = hidden if gated else (vision.number("intermediate_size", limits.SIZE) or 4 * width)
    return Vision(
        layers=vision.need("depth or num_hidden_layers or num_layers", limits.LAYERS),
        hidden=width,
        intermediate=inner,
        heads=vision.number("num_heads or num_attention_heads", limits.HEADS) or 16,
        patches=patches,
        tokens_per_image=tokens or max(1, patches // (merge * merge)),
    )
