"""The tensors that a configuration implies, for a model whose weights have not been looked at.

The layouts are those of transformers' model classes; scripts/model_shapes.py compares them with what these
classes build, tensor for tensor, and a test holds that nothing is missing.
"""

from __future__ import annotations

from dataclasses import replace

from provisioner.sizing import fields as limits
from provisioner.sizing.data import Family, blocks, family
from provisioner.sizing.fields import Fields, ShapeError
from provisioner.sizing.model import Attention, Weights
from provisioner.sizing.tensors import PLAIN, Table

_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}
WITH_WEIGHTS = "name the folder or the repository with its weights: their headers say it"
# Of a checkpoint that is quantised already: the groups it leaves in 16 bits.
_LEFT = ("embedding", "head", "norm", "vision", "other")


def weights_of(
    config: Fields, text: Fields, attention: tuple[Attention, ...], tied: bool
) -> tuple[Weights, ...]:
    """Every tensor of the model, counted together. ShapeError for a layout that is not known here."""
    table = Table(_dtype(config, text))
    known = family(text.text("model_type"))
    if not known.derives:
        raise ShapeError(
            f"{text.model}: {text.file} alone does not say what the layers of {known.model_type} are made of",
            hint=WITH_WEIGHTS,
        )
    hidden = text.need("hidden_size or n_embd or d_model", limits.SIZE)
    layers = text.need("num_hidden_layers or n_layer or num_layers or n_layers", limits.LAYERS)
    vocabulary = text.need("vocab_size or padded_vocab_size", limits.VOCABULARY)
    table.add("embedding", "", (vocabulary, hidden))
    if not tied:
        table.add("head", "", (vocabulary, hidden))
    table.add("norm", "", (hidden,), known.norms * layers + 1)
    for layer in attention:
        _attention(table, text, layer, hidden, known)
    dense, sparse = sparse_layers(text, layers)
    _mlp(table, text, hidden, dense, known)
    if sparse:
        _experts(table, text, hidden, sparse)
    if config.has("vision_config"):
        vision_weights(table, config.inner("vision_config"), config, hidden)
    return as_published(config, table.weights())


def sparse_layers(text: Fields, layers: int) -> tuple[int, int]:
    """How many layers have one feed-forward network, and how many have experts."""
    if not experts_of(text):
        return layers, 0
    first = text.number("first_k_dense_replace", layers, least=0) or 0
    step = text.number("decoder_sparse_step or moe_layer_freq", limits.LAYERS) or 1
    alone = text.values.get("mlp_only_layers") or ()
    if not isinstance(alone, list | tuple):
        raise text.wrong("mlp_only_layers", f"is {limits.shown(alone)}, not a list of layers")
    counts = [
        layer >= first and layer not in alone and (step == 1 or (layer + 1) % step == 0)
        for layer in range(layers)
    ]
    return counts.count(False), counts.count(True)


def experts_of(text: Fields) -> int:
    """How many experts a layer has; 0 without any."""
    names = "n_routed_experts or num_local_experts or num_experts or moe_num_experts"
    found = text.number(names, limits.EXPERTS, least=0) or 0
    return 0 if found == 1 else found


def intermediate_of(text: Fields) -> int:
    """Values that a dense layer's feed-forward network holds of a token."""
    found = text.number("intermediate_size or ffn_hidden_size or n_inner or ffn_dim", limits.SIZE)
    return found or 4 * text.need("hidden_size or n_embd or d_model", limits.SIZE)


def expert_size(text: Fields) -> int:
    """The same, of one expert."""
    return text.number("moe_intermediate_size", limits.SIZE) or intermediate_of(text)


def shared_size(text: Fields) -> int:
    """The same, of the experts that see every token."""
    if size := text.number("shared_expert_intermediate_size", limits.SIZE, least=0):
        return size
    return (
        text.number("n_shared_experts or num_shared_experts", limits.EXPERTS, least=0) or 0
    ) * expert_size(text)


def _dtype(config: Fields, text: Fields) -> str:
    for fields in (config, text):
        for name in ("dtype", "torch_dtype"):
            said = fields.text(name).removeprefix("torch.")
            if said in _DTYPES:
                return _DTYPES[said]
            if said:
                raise fields.wrong(name, f"is {limits.shown(said)}, which is none of {', '.join(_DTYPES)}")
    return "BF16"


def _attention(table: Table, text: Fields, layer: Attention, hidden: int, known: Family) -> None:
    count = layer.layers
    if layer.kind == "mla":
        _mla(table, text, layer, hidden)
        return
    if layer.kind == "linear":
        _linear(table, text, layer, hidden)
        return
    queries, keys = layer.heads * layer.head_size, layer.kv_heads * layer.head_size
    values = layer.kv_heads * layer.value_size
    table.add("attention", "q", (queries * (2 if known.output_gate else 1), hidden), count)
    table.add("attention", "k", (keys, hidden), count)
    table.add("attention", "v", (values, hidden), count)
    table.add("attention", "o", (hidden, layer.heads * layer.value_size), count)
    biased = text.flag("attention_bias", default=False)
    if biased or known.qkv_bias or text.flag("add_qkv_bias", default=False):
        table.add("attention", "", (queries + keys + values,), count)
    if biased and known.model_type == "gpt_oss":
        table.add(
            "attention", "", (hidden + layer.heads,), count
        )  # the output's bias, and a sink for each head
    if known.qk_norm or text.flag("use_qk_norm", default=False):
        table.add("norm", "", (2 * layer.head_size,), count)


def _mla(table: Table, text: Fields, layer: Attention, hidden: int) -> None:
    """Multi-head latent attention, as DeepSeek-V2 and V3 have it."""
    rope = text.need("qk_rope_head_dim", limits.SIZE)
    rank = layer.latent - rope
    queries = layer.heads * layer.head_size
    if query_rank := text.number("q_lora_rank", limits.SIZE):
        table.add("attention", "", (query_rank, hidden), layer.layers)
        table.add("norm", "", (query_rank,), layer.layers)
        table.add("attention", "q", (queries, query_rank), layer.layers)
    else:
        table.add("attention", "q", (queries, hidden), layer.layers)
    table.add("attention", "", (layer.latent, hidden), layer.layers)
    table.add("norm", "", (rank,), layer.layers)
    kept = layer.head_size - rope + layer.value_size
    table.add("attention", "kv_b", (layer.heads * kept, rank), layer.layers)
    table.add("attention", "o", (hidden, layer.heads * layer.value_size), layer.layers)


def _linear(table: Table, text: Fields, layer: Attention, hidden: int) -> None:
    """Gated DeltaNet, as Qwen3-Next has it."""
    if not text.has("linear_num_value_heads"):
        raise ShapeError(
            f"{text.model}: {text.file} does not say how its linear layers are built",
            hint=WITH_WEIGHTS,
        )
    value_heads = text.need("linear_num_value_heads", limits.HEADS)
    keys = text.need("linear_num_key_heads", limits.HEADS) * text.need("linear_key_head_dim", limits.SIZE)
    value = text.need("linear_value_head_dim", limits.SIZE)
    values = value_heads * value
    kernel = text.number("linear_conv_kernel_dim", limits.SIZE) or 4
    table.add("attention", "qkv", (2 * keys + 2 * values, hidden), layer.layers)
    table.add("attention", "", (2 * value_heads, hidden), layer.layers)
    table.add("attention", "", (2 * keys + values, 1, kernel), layer.layers)
    table.add("attention", "", (2 * value_heads,), layer.layers)
    table.add("norm", "", (value,), layer.layers)
    table.add("attention", "o", (hidden, values), layer.layers)


def _mlp(table: Table, text: Fields, hidden: int, layers: int, known: Family) -> None:
    size = intermediate_of(text)
    table.add("mlp", "up", (size, hidden), layers * (1 if known.gateless else 2))
    table.add("mlp", "down", (hidden, size), layers)


def _experts(table: Table, text: Fields, hidden: int, layers: int) -> None:
    count, size, shared = experts_of(text), expert_size(text), shared_size(text)
    table.add("experts", "up", (size, hidden), layers * count * 2)
    table.add("experts", "down", (hidden, size), layers * count)
    table.add("mlp", "router", (count, hidden), layers)
    kind = text.text("model_type")
    if kind == "gpt_oss":
        table.add("experts", "", (2 * size + hidden,), layers * count)
        table.add("mlp", "", (count,), layers)
    if text.text("topk_method") == "noaux_tc":
        table.add("mlp", "", (count,), layers)
    if shared:
        table.add("mlp", "up", (shared, hidden), layers * 2)
        table.add("mlp", "down", (hidden, shared), layers)
    if text.has("shared_expert_intermediate_size"):
        table.add("mlp", "up", (1, hidden), layers)


def vision_weights(table: Table, vision: Fields, config: Fields, out: int) -> None:
    """The image encoder: GLM-4V's and Qwen's with gates and a merger, SigLIP's and CLIP's without."""
    layers = vision.need("depth or num_hidden_layers or num_layers", limits.LAYERS)
    hidden = vision.need("hidden_size or embed_dim", limits.SIZE)
    inner = vision.number("intermediate_size", limits.SIZE) or 4 * hidden
    channels = vision.number("in_channels or num_channels or in_chans", limits.HEADS) or 3
    patch = vision.need("patch_size", limits.SIZE)
    frames = vision.number("temporal_patch_size", limits.HEADS) or 1
    table.add("vision", "", (hidden, channels * frames, patch, patch))
    table.add("vision", "", (hidden, hidden), 4 * layers)
    if config.text("model_type").startswith("glm4v"):
        out = vision.number("out_hidden_size", limits.SIZE) or out
        merge = vision.number("spatial_merge_size", limits.HEADS) or 2
        side = vision.need("image_size", limits.SIZE) // patch
        table.add("vision", "", (out, hidden), 2 * layers)
        table.add("vision", "", (hidden, out), layers)
        # A merger with its own gated network over the patches that become one token.
        table.add("vision", "", (out, hidden * merge * merge))
        table.add("vision", "", (out, out))
        table.add("vision", "", (inner, out), 2)
        table.add("vision", "", (out, inner))
        table.add("vision", "", (side * side, hidden))
        table.add("vision", "", (hidden,), 2 * layers + 2 + 1)
        table.add("vision", "", (out,), 3)
        return
    size = vision.number("image_size or img_size", limits.SIZE)
    table.add("vision", "", (inner, hidden), 2 * layers)
    table.add("vision", "", (inner,), layers)
    table.add("vision", "", (hidden,), 9 * layers + 3)
    if size:
        table.add("vision", "", ((size // patch) ** 2, hidden))
    table.add("vision", "", (hidden, out))
    table.add("vision", "", (hidden,))


def as_published(config: Fields, weights: tuple[Weights, ...]) -> tuple[Weights, ...]:
    """What a checkpoint that says `quantization_config` has instead of these."""
    if not config.has("quantization_config"):
        return weights
    method = config.inner("quantization_config").text("quant_method")
    known = {"mxfp4": "MXFP4", "fp8": "F8_BLOCK", "gptq": "GPTQ4", "awq": "AWQ4"}
    if method not in known:
        raise ShapeError(
            f"{config.model}: config.json says quant_method {limits.shown(method)}, which is not known here",
            hint=WITH_WEIGHTS,
        )
    block = blocks()[known[method]]
    changed = []
    for plain in weights:
        item = plain
        touched = item.matrices and item.group not in _LEFT and (method != "mxfp4" or item.group == "experts")
        if touched and item.dtype in PLAIN:
            nbytes = item.elements * block.nbytes // block.values
            item = replace(item, dtype=block.name, nbytes=nbytes, matrices=False)
        changed.append(item)
    return tuple(changed)
