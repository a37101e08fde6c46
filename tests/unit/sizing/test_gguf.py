"""A model's shape from the header of a GGUF."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from provisioner.errors import ExitCode
from provisioner.sizing.model import Attention, Vision
from provisioner.sizing.shapes import ShapeError, from_gguf, with_projector
from tests.unit.sizing.shaped import Tensor

TENSORS = (
    Tensor("token_embd.weight", "Q6_K", (1000, 256), 210_000),
    Tensor("blk.0.attn_k.weight", "Q4_K", (64, 256), 9216),
    Tensor("blk.1.attn_k.weight", "Q4_K", (64, 256), 9216),
    Tensor("blk.0.ffn_down.weight", "Q4_K", (256, 512), 73_728),
    Tensor("blk.0.attn_norm.weight", "F32", (256,), 1024),
)
KEYS: dict[str, Any] = {
    "general.architecture": "llama", "llama.block_count": 2, "llama.embedding_length": 256,
    "llama.feed_forward_length": 512, "llama.attention.head_count": 8, "llama.attention.head_count_kv": 2,
    "llama.context_length": 4096,
}  # fmt: skip


class Array(NamedTuple):
    """An array that was walked over and not kept, as the header's reader gives it."""

    type: str
    length: int
    offset: int
    nbytes: int


def keys(**changes: Any) -> dict[str, Any]:
    """KEYS with others; `attention_` stands for `attention.`, None takes one away."""
    found = dict(KEYS)
    for name, value in changes.items():
        found["llama." + name.replace("attention_", "attention.", 1)] = value
    return {name: value for name, value in found.items() if value is not None}


def test_a_llama() -> None:
    shape = from_gguf("tiny", KEYS, TENSORS, "a header")
    assert (shape.architecture, shape.layers, shape.hidden, shape.intermediate) == ("llama", 2, 256, 512)
    assert (shape.vocabulary, shape.context, shape.tied, shape.format) == (1000, 4096, True, "gguf")
    assert shape.attention == (Attention("full", 2, 8, 2, 32, 32),)
    assert sum(item.nbytes for item in shape.weights) == sum(tensor.nbytes for tensor in TENSORS)


CASES: dict[str, tuple[dict[str, Any], tuple[Attention, ...]]] = {
    "head sizes of their own": (
        keys(attention_key_length=64, attention_value_length=16), (Attention("full", 2, 8, 2, 64, 16),),
    ),
    "KV heads of each layer": (
        keys(attention_head_count_kv=[2, 4]),
        (Attention("full", 1, 8, 2, 32, 32), Attention("full", 1, 8, 4, 32, 32)),
    ),
    "equal ones count as one": (keys(attention_head_count_kv=[2, 2]), (Attention("full", 2, 8, 2, 32, 32),)),
    "an array that was not kept: the tensors say it": (
        keys(attention_head_count_kv=Array("i32", 2, 100, 8)), (Attention("full", 2, 8, 2, 32, 32),),
    ),
    "a layer without attention": (
        keys(attention_head_count_kv=[2, 0],
        **{"ssm.inner_size": 512, "ssm.state_size": 16, "ssm.conv_kernel": 4}),
        (Attention("full", 1, 8, 2, 32, 32), Attention("linear", 1, 8, 0, 32, 32, state=512 * 20)),
    ),
    "a window nobody says which layers have": (
        keys(attention_sliding_window=64), (Attention("full", 2, 8, 2, 32, 32),),
    ),
    "a window in every second layer": (
        keys(attention_sliding_window=64, attention_sliding_window_pattern=2),
        (Attention("full", 1, 8, 2, 32, 32), Attention("sliding", 1, 8, 2, 32, 32, window=64)),
    ),
    "a window, layer by layer": (
        keys(attention_sliding_window=64, attention_sliding_window_pattern=[True, False]),
        (Attention("full", 1, 8, 2, 32, 32), Attention("sliding", 1, 8, 2, 32, 32, window=64)),
    ),
    "MLA": (
        keys(**{
            "attention_kv_lora_rank": 512, "rope.dimension_count": 64, "attention_key_length_mla": 192,
            "attention_value_length_mla": 128,
        }),
        (Attention("mla", 2, 8, 8, 192, 128, latent=576),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_layers(case: str) -> None:
    metadata, expected = CASES[case]
    assert from_gguf("tiny", metadata, TENSORS, "a header").attention == expected


WRONG: dict[str, tuple[dict[str, Any], tuple[Tensor, ...], str]] = {
    "no architecture": ({}, TENSORS, "tiny: GGUF metadata lacks general.architecture"),
    "no layers": (keys(block_count=None), TENSORS, "tiny: GGUF metadata lacks llama.block_count"),
    "a text": (
        keys(block_count="2"), TENSORS,
        "tiny: GGUF metadata: llama.block_count is '2', not a whole number",
    ),
    "zero heads": (
        keys(attention_head_count=0), TENSORS,
        "tiny: GGUF metadata: llama.attention.head_count is 0, which cannot be: 1 to 65536 can",
    ),
    "KV heads that do not divide": (
        keys(attention_head_count_kv=3), TENSORS,
        "tiny: GGUF metadata: llama.attention.head_count_kv is 3 at layer 0, which does not divide 8 heads",
    ),
    "heads that do not divide": (
        keys(attention_head_count=7, attention_head_count_kv=7), TENSORS,
        "tiny: GGUF metadata: llama.attention.head_count is 7, which does not divide embedding_length 256",
    ),
    "more experts used than there are": (
        keys(expert_count=4, expert_used_count=5), TENSORS,
        "tiny: GGUF metadata: llama.expert_used_count is 5, more than the 4 experts",
    ),
    "no language model": (
        KEYS, TENSORS[1:], "tiny: GGUF has no tensor token_embd.weight, so it is no language model",
    ),
    "an embedding of one dimension, and no vocabulary": (
        KEYS, (Tensor("token_embd.weight", "F32", (1000,), 4000),),
        "tiny: token_embd.weight has the shape (1000,), which is no embedding",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_named(case: str) -> None:
    metadata, tensors, expected = WRONG[case]
    with pytest.raises(ShapeError) as caught:
        from_gguf("tiny", metadata, tensors, "a header")
    assert (caught.value.message, caught.value.code) == (expected, ExitCode.USAGE)
    assert caught.value.hint


PROJECTOR = {
    "general.architecture": "clip", "clip.vision.image_size": 336, "clip.vision.patch_size": 14,
    "clip.vision.block_count": 24, "clip.vision.embedding_length": 1024,
    "clip.vision.feed_forward_length": 4096, "clip.vision.attention.head_count": 16,
}  # fmt: skip


def test_the_projector_beside_a_model_is_its_image_encoder() -> None:
    encoder = [Tensor("v.blk.0.attn_q.weight", "F16", (1024, 1024), 2 * 1024 * 1024)]
    plain = from_gguf("tiny", KEYS, TENSORS, "a header")
    shape = with_projector(plain, PROJECTOR, encoder)
    assert shape.vision == Vision(24, 1024, 4096, 16, patches=576, tokens_per_image=576)
    assert [item.nbytes for item in shape.weights if item.group == "vision"] == [2 * 1024 * 1024]
    assert shape.weights[: len(plain.weights)] == plain.weights


def test_a_file_beside_a_model_that_is_no_projector() -> None:
    plain = from_gguf("tiny", KEYS, TENSORS, "a header")
    with pytest.raises(ShapeError, match="tiny: the file beside it is no image encoder"):
        with_projector(plain, KEYS, TENSORS)
    cut = {name: value for name, value in PROJECTOR.items() if name != "clip.vision.patch_size"}
    with pytest.raises(ShapeError, match=r"tiny: the projector's metadata lacks clip\.vision\.patch_size"):
        with_projector(plain, cut, TENSORS)
