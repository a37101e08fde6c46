"""Which layers keep which cache, from a Hugging Face configuration.

The fields are those of transformers' configuration classes. What a family does when its fields do not say
it (Gemma 2 slides every other layer) is in data/families.yml.
"""

from __future__ import annotations

from collections import Counter

from provisioner.sizing import fields as limits
from provisioner.sizing.data import family
from provisioner.sizing.fields import Fields, ShapeError
from provisioner.sizing.model import Attention

_KINDS = {
    "full_attention": "full", "attention": "full", "global_attention": "full", "global": "full",
    "sliding_attention": "sliding", "local_attention": "sliding", "local": "sliding",
    "chunked_attention": "sliding",
    "linear_attention": "linear", "mamba": "linear", "recurrent": "linear", "conv": "linear",
    "moe": "none", "mlp": "none",
}  # fmt: skip


def attention_of(config: Fields) -> tuple[Attention, ...]:
    """The layers' caches, equal ones counted together, the full ones first."""
    layers = config.need("num_hidden_layers or n_layer or num_layers or n_layers", limits.LAYERS)
    heads = config.need("num_attention_heads or n_head or n_heads", limits.HEADS)
    if config.has("kv_lora_rank"):
        return (_mla(config, layers, heads),)
    kv_heads = _kv_heads(config, heads)
    head_size = _head_size(config, heads)
    value_size = config.number("v_head_dim", limits.SIZE) or head_size
    counts = Counter(_kinds(config, layers))
    found = []
    if full := counts["full"]:
        size = config.number("global_head_dim", limits.SIZE) or head_size
        global_heads = config.number("num_global_key_value_heads", limits.HEADS) or kv_heads
        wider = value_size if size == head_size else size
        found.append(Attention("full", full, heads, global_heads, size, wider))
    if sliding := counts["sliding"]:
        window = config.need("sliding_window or attention_chunk_size", limits.CONTEXT)
        found.append(Attention("sliding", sliding, heads, kv_heads, head_size, value_size, window=window))
    if linear := counts["linear"]:
        found.append(
            Attention("linear", linear, heads, kv_heads, head_size, value_size, state=_state(config))
        )
    return tuple(found)


def _kv_heads(config: Fields, heads: int) -> int:
    """Missing means full attention heads, as in every configuration class that lets it be missing."""
    if config.flag("multi_query", default=False) and not config.flag(
        "new_decoder_architecture", default=False
    ):
        return config.number("num_kv_heads or multi_query_group_num", heads) or 1
    names = "num_key_value_heads or num_kv_heads or multi_query_group_num"
    kv_heads = config.number(names, limits.HEADS)
    if kv_heads is None:
        return heads
    if kv_heads > heads or heads % kv_heads:
        name = next(name for name in names.split(" or ") if config.has(name))
        raise config.wrong(name, f"is {kv_heads}, which does not divide the {heads} attention heads")
    return kv_heads


def _head_size(config: Fields, heads: int) -> int:
    size = config.number("head_dim or kv_channels", limits.SIZE)
    if size is not None:
        return size
    if default := family(config.text("model_type")).head_dim:
        return default
    hidden = config.need("hidden_size or n_embd or d_model", limits.SIZE)
    if hidden % heads:
        raise config.wrong(
            "hidden_size",
            f"is {hidden}, which the {heads} attention heads do not divide, and there is no head_dim",
        )
    return hidden // heads


def _mla(config: Fields, layers: int, heads: int) -> Attention:
    rope = config.need("qk_rope_head_dim", limits.SIZE)
    plain = config.need("qk_nope_head_dim", limits.SIZE)
    latent = config.need("kv_lora_rank", limits.SIZE)
    value = config.need("v_head_dim", limits.SIZE)
    return Attention("mla", layers, heads, heads, plain + rope, value, latent=latent + rope)


def _kinds(config: Fields, layers: int) -> list[str]:
    """Of each layer that has a cache of its own: full, sliding or linear."""
    kinds = _each(config, layers)
    shared = config.number("num_kv_shared_layers", layers - 1, least=0) or 0
    return kinds[: layers - shared]


def _each(config: Fields, layers: int) -> list[str]:
    known = family(config.text("model_type"))
    if config.has("layer_types", "layers_block_type"):
        return _named(config, layers)
    if config.has("hybrid_override_pattern"):
        letters = config.text("hybrid_override_pattern")
        if len(letters) != layers:
            raise config.wrong("hybrid_override_pattern", f"names {len(letters)} layers of {layers}")
        return [{"*": "full", "M": "linear"}.get(letter, "none") for letter in letters]
    every = config.number("full_attention_interval", limits.LAYERS) or known.full_interval
    if every:
        return ["full" if (layer + 1) % every == 0 else "linear" for layer in range(layers)]
    if period := config.number("attn_layer_period", limits.LAYERS):
        offset = config.number("attn_layer_offset", limits.LAYERS, least=0) or 0
        return ["full" if layer % period == offset else "linear" for layer in range(layers)]
    if not config.has("sliding_window") or not config.flag("use_sliding_window", default=True):
        return ["full"] * layers
    if config.values["sliding_window"] == 0:
        return ["full"] * layers
    said = config.number("sliding_window_pattern or _sliding_window_pattern", limits.LAYERS)
    if pattern := said or known.pattern:
        return ["full" if (layer + 1) % pattern == 0 else "sliding" for layer in range(layers)]
    if config.flag("use_sliding_window", default=False):
        first = config.number("max_window_layers", limits.LAYERS, least=0) or 0
        return ["full" if layer < first else "sliding" for layer in range(layers)]
    # A window that no rule is known for counts as none: a budget too large is the safe side.
    return ["sliding" if known.all_slide else "full"] * layers


def _named(config: Fields, layers: int) -> list[str]:
    name = "layer_types" if config.has("layer_types") else "layers_block_type"
    named = config.values[name]
    if not isinstance(named, list | tuple) or len(named) != layers:
        count = len(named) if isinstance(named, list | tuple) else "no"
        raise config.wrong(name, f"names {count} layers of {layers}")
    for kind in named:
        if not isinstance(kind, str) or kind not in _KINDS:
            raise config.wrong(
                name, f"has a layer of the kind {limits.shown(kind)}, whose cache is not known here"
            )
    return [_KINDS[kind] for kind in named]


def _state(config: Fields) -> int:
    """Values that a linear layer keeps of one sequence, whatever its length."""
    if config.has("linear_num_value_heads"):  # Gated DeltaNet: Qwen3-Next, Qwen3.5
        values = config.need("linear_num_value_heads", limits.HEADS)
        keys = config.need("linear_num_key_heads", limits.HEADS)
        key, value = (
            config.need("linear_key_head_dim", limits.SIZE),
            config.need("linear_value_head_dim", limits.SIZE),
        )
        kernel = config.number("linear_conv_kernel_dim", limits.SIZE) or 4
        return values * key * value + (2 * keys * key + values * value) * kernel
    if config.has("mamba_d_state", "ssm_state_size"):
        state = config.need("mamba_d_state or ssm_state_size", limits.SIZE)
        hidden = config.need("hidden_size", limits.SIZE)
        expand = config.number("mamba_expand or expand", limits.SIZE) or 2
        kernel = config.number("mamba_d_conv or conv_kernel", limits.SIZE) or 4
        return hidden * expand * (state + kernel)
    if config.has("conv_L_cache"):
        return config.need("hidden_size", limits.SIZE) * config.need("conv_L_cache", limits.SIZE)
    raise ShapeError(
        f"{config.model}: {config.file} has linear layers, and does not say how large their state is",
        hint="name a GGUF of this model instead, or one whose config.json has its state's size",
    )
