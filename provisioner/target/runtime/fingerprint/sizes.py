"""Whether the sizes that a configuration names are those of the tensors."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Tuple

from ..formats.header import shown
from .layers import place_of

# Architectures whose projections are heads times the size of one, as transformers defines them.
PLAIN = (
    "gemma", "gemma2", "gemma3_text", "glm", "glm4", "llama", "mistral", "qwen2", "qwen3",
)  # fmt: skip
# The same as llama.cpp calls them.
PLAIN_GGUF = ("gemma", "gemma2", "gemma3", "llama", "qwen2", "qwen3")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")
_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "embedding_size", "word_embed_proj_dim")
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_FLOATS = ("F16", "BF16", "F32", "F64")


def of_config(name: str, tensors: Dict[str, Any], config: Dict[str, Any]) -> List[str]:
    """Against a config.json, whose numbers for the text part may stand in a text_config of their own."""
    inner = config.get("text_config")
    text = {**config, **inner} if isinstance(inner, dict) else config
    label = shown(name)
    sentences = _depth(label, tensors, text)
    for tensor, (dtype, shape, *_) in tensors.items():
        if not tensor.endswith(_EMBEDDINGS) or len(shape) != 2 or dtype not in _FLOATS:
            continue
        widths = {key: text[key] for key in _WIDTHS if _number(text.get(key)) is not None}
        if widths and shape[1] not in widths.values():
            key, value = next(iter(widths.items()))
            sentences.append(f"{label}: {key} is {value}, {shown(tensor)} has rows of {shape[1]}")
        words = _number(text.get("vocab_size"))
        if words is not None and words != shape[0]:
            sentences.append(f"{label}: vocab_size is {words}, {shown(tensor)} has {shape[0]} rows")
    if text.get("model_type") in PLAIN:
        sentences += _compare(label, _expected(text), _first_layer(tensors, "layers"))
    return sentences


def of_gguf(name: str, tensors: Dict[str, Any], metadata: Dict[str, Any]) -> List[str]:
    """Against a GGUF file's own keys."""
    arch = metadata.get("general.architecture")
    label = shown(name)
    sentences = []

    def key(what: str) -> Optional[int]:
        return _number(metadata.get(f"{arch}.{what}"))

    depth, layers = key("block_count"), _layers(tensors).get("blk", 0)
    if depth is not None and layers and depth != layers:
        sentences.append(f"{label}: {arch}.block_count is {depth}, its tensors are of {layers} layers")
    width = key("embedding_length")
    _, embedding, *_ = tensors.get("token_embd.weight", (None, None))
    if embedding and width is not None and embedding[-1] != width:
        sentences.append(
            f"{label}: {arch}.embedding_length is {width}, token_embd.weight has rows of {embedding[-1]}"
        )
    tokens = metadata.get("tokenizer.ggml.tokens")
    if embedding and isinstance(tokens, dict) and tokens.get("length") != embedding[0]:
        count = tokens.get("length")
        sentences.append(
            f"{label}: its tokenizer has {count} tokens, token_embd.weight has {embedding[0]} rows"
        )
    heads, size, wide = key("attention.head_count"), key("attention.key_length"), key("feed_forward_length")
    if heads and size is None and width is not None:
        size = width // heads
    wanted = []
    if arch in PLAIN_GGUF and heads and size:
        wanted.append(("attn_q.weight", heads * size, f"{arch}.attention.head_count is {heads} of {size}"))
    # Others (phi3, chatglm) keep two matrices in ffn_up.
    if arch in PLAIN_GGUF and wide:
        wanted.append(("ffn_up.weight", wide, f"{arch}.feed_forward_length is {wide}"))
    return sentences + _compare(label, wanted, _first_layer(tensors, "blk"))


def _depth(label: str, tensors: Dict[str, Any], config: Dict[str, Any]) -> List[str]:
    """The number of layers is that of some stack, with or without those that predict further tokens."""
    key = next((key for key in _DEPTHS if _number(config.get(key)) is not None), None)
    layers = _layers(tensors)
    if key is None or not layers or not isinstance(config[key], int):
        return []
    further = _number(config.get("num_nextn_predict_layers")) or 0
    if {config[key], config[key] + further} & set(layers.values()):
        return []
    stack = max(layers, key=lambda stack: layers[stack])
    return [f"{label}: {key} is {config[key]}, {shown(stack)} has {layers[stack]} layers"]


def _layers(tensors: Dict[str, Any]) -> Dict[str, int]:
    """{stack: number of layers}, by the highest one."""
    found: Dict[str, int] = {}
    for place in map(place_of, tensors):
        if place is not None:
            found[place.stack] = max(found.get(place.stack, 0), place.layer + 1)
    return found


def _expected(config: Dict[str, Any]) -> List[Tuple[str, int, str]]:
    """(end of a tensor's name, rows it must have, what says so)."""
    heads, width = _number(config.get("num_attention_heads")), _number(config.get("hidden_size"))
    size = _number(config.get("head_dim"))
    if size is None and heads and width is not None:
        size = width // heads
    wanted = []
    for tensor, key in (("q_proj.weight", "num_attention_heads"), ("k_proj.weight", "num_key_value_heads")):
        count = _number(config.get(key))
        if count and size:
            wanted.append((f"self_attn.{tensor}", count * size, f"{key} is {count} of {size}"))
    wide = _number(config.get("intermediate_size"))
    if wide:
        wanted.append(("mlp.up_proj.weight", wide, f"intermediate_size is {wide}"))
    return wanted


def _first_layer(tensors: Dict[str, Any], end: str) -> Iterator[Tuple[str, str, List[int]]]:
    """(name, name inside the layer, shape) of the matrices of numbers in a stack's first layer."""
    for name, (dtype, shape, *_) in tensors.items():
        place = place_of(name)
        if place is None or place.layer or place.stack.split(".")[-1] != end or "vision" in name:
            continue
        if len(shape) == 2 and (end == "blk" or dtype in _FLOATS):
            yield name, place.rest, shape


def _compare(
    label: str, wanted: List[Tuple[str, int, str]], layer: Iterator[Tuple[str, str, List[int]]]
) -> List[str]:
    return [
        f"{label}: {says}, {shown(name)} has {shape[0]} rows"
        for name, rest, shape in layer
        for what, rows, says in wanted if rest == what and shape[0] != rows
    ]  # fmt: skip


def _number(value: Any) -> Optional[int]:
    return value if type(value) is int else None
