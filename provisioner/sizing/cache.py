"""Bytes of what layers keep of the tokens so far: never guessed from parameter counts.

A token takes, in each layer, KV heads times (key size + value size) values; sliding layers keep a window of
them, MLA one compressed vector, linear layers a state that does not grow.
"""

from __future__ import annotations

from provisioner.sizing.model import Attention, Shape

# A recurrent state is summed up in 32 bits by every runtime here.
STATE_BYTES = 4


def per_token(layer: Attention) -> int:
    """Values that one token takes in one layer. MLA is kept compressed by every runtime here (transformers
    5.23 too, `DeepseekV3Attention.forward`; its version 4 kept all heads).
    """
    if layer.kind == "linear":
        return 0
    if layer.kind == "mla":
        return layer.latent
    return layer.kv_heads * (layer.head_size + layer.value_size)


def bytes_of(shape: Shape, tokens: int, value_bytes: float, *, beyond_window: int = 0, block: int = 1) -> int:
    """The cache of one sequence of `tokens`, in bytes.

    `beyond_window` tokens are kept by sliding layers besides their window; `block` is the grain in tokens.
    """
    full = rounded(tokens, block)
    total = 0.0
    for layer in shape.attention:
        kept = full
        if layer.kind == "sliding":
            kept = min(full, rounded(layer.window + beyond_window, block))
        total += layer.layers * kept * per_token(layer) * value_bytes
        total += layer.layers * layer.state * STATE_BYTES
    return int(total)


def rounded(count: int, grain: int) -> int:
    """Up to the next multiple of `grain`."""
    return -(-count // grain) * grain
