"""A model's shape from the metadata of its GGUF, with llama.cpp's keys.

A key may have an array, one value a layer. Such arrays are not kept when a header is read, and then the
tensors say the same: the rows of attn_k are KV heads times head size.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from provisioner.sizing import fields as limits
from provisioner.sizing.data import family
from provisioner.sizing.fields import Fields, ShapeError
from provisioner.sizing.model import Attention, Shape, Vision
from provisioner.sizing.tensors import Tensor, grouped
from provisioner.sourced import Confidence

_LAYER = re.compile(r"blk\.(\d+)\.(attn_k|attn_qkv|attn_kv_a_mqa)\b")


def from_gguf(
    name: str,
    metadata: Mapping[str, Any],
    tensors: Sequence[Tensor],
    source: str,
    confidence: Confidence = "ran",
) -> Shape:
    """The shape that a GGUF's header tells of. Raises ShapeError naming a key that is missing or wrong."""
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ShapeError(
            f"{name}: GGUF metadata lacks general.architecture",
            hint="have the file fetched again: its header is cut",
        )
    prefix = f"{architecture}."
    inner = {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}
    keys = Fields(name, {key: _scalar(value) for key, value in inner.items()}, "GGUF metadata", prefix)
    layers = keys.need("block_count", limits.LAYERS)
    hidden = keys.need("embedding_length", limits.SIZE)
    by_name = {tensor.name: tensor for tensor in tensors}
    if "token_embd.weight" not in by_name:
        raise ShapeError(
            f"{name}: GGUF has no tensor token_embd.weight, so it is no language model",
            hint="name the model's own file; a projector (mmproj) or an adapter goes beside it",
        )
    experts = keys.number("expert_count", limits.EXPERTS, least=0) or 0
    used = keys.number("expert_used_count", limits.EXPERTS, least=0) or 0
    if used > experts:
        raise keys.wrong("expert_used_count", f"is {used}, more than the {experts} experts")
    wide = _width(inner, keys, by_name)
    if experts:
        wide = max(wide, used * (keys.number("expert_feed_forward_length", limits.SIZE) or wide))
    return Shape(
        name=name,
        architecture=architecture,
        weights=grouped(tensors),
        attention=_attention(inner, keys, by_name, layers, hidden, architecture),
        hidden=hidden,
        layers=layers,
        intermediate=wide,
        vocabulary=_vocabulary(keys, by_name),
        context=keys.need("context_length", limits.CONTEXT),
        source=source,
        confidence=confidence,
        tied="output.weight" not in by_name,
        experts=experts,
        experts_used=used,
        format="gguf",
    )


def with_projector(shape: Shape, metadata: Mapping[str, Any], tensors: Sequence[Tensor]) -> Shape:
    """A model with the image encoder of the file beside it (mmproj, architecture clip).

    Raises ShapeError naming the key that is missing or cannot be.
    """
    if metadata.get("general.architecture") != "clip":
        raise ShapeError(
            f"{shape.name}: the file beside it is no image encoder: its general.architecture is not clip",
            hint="name the projector that was published with the model (its name begins with mmproj)",
        )
    prefix = "clip.vision."
    inner = {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}
    keys = Fields(shape.name, inner, "the projector's metadata", prefix)
    side, patch = keys.need("image_size", limits.SIZE), keys.need("patch_size", limits.SIZE)
    merge = keys.number("spatial_merge_size", limits.HEADS) or 1
    patches = max(1, (side // patch) ** 2)
    vision = Vision(
        layers=keys.need("block_count", limits.LAYERS),
        hidden=keys.need("embedding_length", limits.SIZE),
        intermediate=keys.need("feed_forward_length", limits.SIZE),
        heads=keys.need("attention.head_count", limits.HEADS),
        patches=patches,
        tokens_per_image=max(1, patches // merge**2),
    )
    encoder = tuple(replace(item, group="vision", part="") for item in grouped(tensors))
    return replace(shape, weights=shape.weights + encoder, vision=vision)


def _scalar(value: Any) -> Any:
    """A list of equal numbers counts as that number; other lists have their own readers."""
    if isinstance(value, list | tuple) and value and all(entry == value[0] for entry in value):
        return value[0]
    return value


def _vocabulary(keys: Fields, by_name: Mapping[str, Tensor]) -> int:
    shape = by_name["token_embd.weight"].shape
    found = shape[0] if len(shape) == 2 else keys.number("vocab_size", limits.VOCABULARY)
    if not found or found > limits.VOCABULARY:
        raise ShapeError(
            f"{keys.model}: token_embd.weight has the shape {tuple(shape)}, which is no embedding",
            hint="have the file fetched again: its header is damaged",
        )
    return found


def _width(inner: Mapping[str, Any], keys: Fields, by_name: Mapping[str, Tensor]) -> int:
    """The widest feed-forward network; by its tensors where the key has one value a layer."""
    value = _scalar(inner.get("feed_forward_length"))
    if isinstance(value, int):
        return keys.number("feed_forward_length", limits.SIZE, least=0) or 0
    if isinstance(value, list | tuple) and value and all(isinstance(entry, int) for entry in value):
        return int(max(value))
    return max((tensor.shape[-1] for name, tensor in by_name.items() if ".ffn_down." in name), default=0)


def _attention(
    inner: Mapping[str, Any],
    keys: Fields,
    by_name: Mapping[str, Tensor],
    layers: int,
    hidden: int,
    architecture: str,
) -> tuple[Attention, ...]:
    heads = _heads(inner, keys, layers)
    key = keys.number("attention.key_length", limits.SIZE)
    if key is None:
        if hidden % heads:
            raise keys.wrong(
                "attention.head_count", f"is {heads}, which does not divide embedding_length {hidden}"
            )
        key = hidden // heads
    value = keys.number("attention.value_length", limits.SIZE) or key
    if rank := keys.number("attention.kv_lora_rank", limits.SIZE):
        rope = keys.number("rope.dimension_count", limits.SIZE) or 64
        full_key = keys.number("attention.key_length_mla", limits.SIZE) or key
        full_value = keys.number("attention.value_length_mla", limits.SIZE) or value
        return (Attention("mla", layers, heads, heads, full_key, full_value, latent=rank + rope),)
    window = keys.number("attention.sliding_window", limits.CONTEXT, least=0) or 0
    slides = _slides(inner, keys, layers, architecture) if window else [False] * layers
    kv_heads = _kv_heads(inner, keys, by_name, layers, heads, key)
    kinds = Counter(
        ("linear" if kv_heads[layer] == 0 else "sliding" if slides[layer] else "full", kv_heads[layer])
        for layer in range(layers)
    )
    found = [
        Attention(kind, count, heads, kv, key, value, window=window if kind == "sliding" else 0)  # type: ignore[arg-type]
        for (kind, kv), count in sorted(kinds.items(), key=lambda item: item[0][0] != "full")
        if kind != "linear"
    ]
    if linear := sum(count for (kind, _), count in kinds.items() if kind == "linear"):
        found.append(Attention("linear", linear, heads, 0, key, value, state=_state(keys, hidden)))
    return tuple(found)


def _state(keys: Fields, hidden: int) -> int:
    """Values a state-space layer keeps of a sequence (llama.cpp: ssm.* keys)."""
    size = keys.number("ssm.inner_size", limits.SIZE) or hidden
    state = keys.number("ssm.state_size", limits.SIZE) or 0
    kernel = keys.number("ssm.conv_kernel or shortconv.l_cache", limits.SIZE) or 4
    return size * (state + kernel)


def _heads(inner: Mapping[str, Any], keys: Fields, layers: int) -> int:
    value = inner.get("attention.head_count")
    numbers = _per_layer(value, layers)
    if numbers is None:
        if _is_array(value):  # not kept; the widest layer is what hidden and head size say
            size = keys.need("attention.key_length", limits.SIZE)
            return max(1, keys.need("embedding_length", limits.SIZE) // size)
        return keys.need("attention.head_count", limits.HEADS)
    if not 0 < max(numbers) <= limits.HEADS:
        raise keys.wrong("attention.head_count", "has a layer with a number of heads that cannot be")
    return max(numbers)


def _kv_heads(
    inner: Mapping[str, Any], keys: Fields, by_name: Mapping[str, Tensor], layers: int, heads: int, size: int
) -> list[int]:
    """KV heads of each layer, 0 for one without attention."""
    value = inner.get("attention.head_count_kv")
    numbers = _per_layer(value, layers)
    if numbers is None and _is_array(value):
        rows = {
            int(match[1]): tensor.shape[0]
            for name, tensor in by_name.items()
            if (match := re.match(r"blk\.(\d+)\.attn_k\.weight$", name))
        }
        numbers = [rows.get(layer, 0) // size for layer in range(layers)]
    if numbers is None:
        single = keys.number("attention.head_count_kv", limits.HEADS, least=0)
        numbers = [heads if single is None else single] * layers
    for layer, number in enumerate(numbers):
        if number < 0 or number > heads or (number and heads % number):
            raise keys.wrong(
                "attention.head_count_kv",
                f"is {number} at layer {layer}, which does not divide {heads} heads",
            )
    with_attention = {
        int(match[1]) for name in by_name if (match := _LAYER.match(name)) and "attn" in match[2]
    }
    if with_attention and len(with_attention) < layers and all(numbers):
        numbers = [number if layer in with_attention else 0 for layer, number in enumerate(numbers)]
    return numbers


def _slides(inner: Mapping[str, Any], keys: Fields, layers: int, architecture: str) -> list[bool]:
    value = inner.get("attention.sliding_window_pattern")
    if isinstance(value, list | tuple) and len(value) == layers:
        return [bool(entry) for entry in value]
    known = family(architecture)
    pattern = (
        keys.number("attention.sliding_window_pattern", limits.LAYERS) if isinstance(value, int) else None
    )
    pattern = pattern or known.pattern
    if pattern:
        return [(layer + 1) % pattern != 0 for layer in range(layers)]
    return [known.all_slide] * layers


def _is_array(value: Any) -> bool:
    return hasattr(value, "length") and hasattr(value, "nbytes")


def _per_layer(value: Any, layers: int) -> list[int] | None:
    """The numbers of an array that was kept, one for each layer."""
    if not isinstance(value, list | tuple) or len(value) < layers:
        return None
    if not all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value):
        return None
    return list(value[:layers])
