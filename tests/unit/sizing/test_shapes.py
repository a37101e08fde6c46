"""A model's shape from config.json, and what is said of one that is damaged."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.errors import ExitCode
from provisioner.sizing.model import Attention, Vision
from provisioner.sizing.shapes import ShapeError, from_config
from tests.unit.sizing.shaped import LLAMA, Tensor, llama

FULL = Attention("full", 4, 8, 2, 8, 8)


def test_a_llama() -> None:
    shape = from_config("tiny", LLAMA, None, "a file", "ran")
    assert (shape.architecture, shape.layers, shape.hidden, shape.intermediate) == ("llama", 4, 64, 160)
    assert (shape.vocabulary, shape.context, shape.tied, shape.experts) == (1000, 2048, False, 0)
    assert shape.attention == (FULL,)
    layer = 2 * 64 * 64 + 2 * 64 * 16 + 3 * 64 * 160 + 2 * 64
    assert shape.parameters == 2 * 1000 * 64 + 4 * layer + 64
    assert sum(item.nbytes for item in shape.weights) == 2 * shape.parameters
    assert (shape.source, shape.confidence, shape.format) == ("a file", "ran", "safetensors")


def test_tensors_that_were_read_count_instead_of_derived_ones() -> None:
    tensors = [
        Tensor("model.embed_tokens.weight", "F32", (1000, 64), 256_000),
        Tensor("model.layers.0.self_attn.q_proj.weight", "F32", (64, 64), 16_384),
    ]
    shape = from_config("tiny", LLAMA, tensors, "a file")
    assert [(item.group, item.part, item.nbytes, item.matrices) for item in shape.weights] == [
        ("embedding", "", 256_000, True), ("attention", "q", 16_384, True),
    ]  # fmt: skip
    assert shape.tied, "there is no lm_head among them"


# What else a configuration says → its caches.
LAYERS: dict[str, tuple[dict[str, Any], tuple[Attention, ...]]] = {
    "no num_key_value_heads means full heads": (
        llama(num_key_value_heads=None), (Attention("full", 4, 8, 8, 8, 8),),
    ),
    "a head size of its own": (llama(head_dim=32), (Attention("full", 4, 8, 2, 32, 32),)),
    "every third layer full": (
        llama(model_type="x", sliding_window=128, sliding_window_pattern=3),
        (Attention("full", 1, 8, 2, 8, 8), Attention("sliding", 3, 8, 2, 8, 8, window=128)),
    ),
    "Gemma 2 slides by turns without saying so": (
        llama(model_type="gemma2", head_dim=8, sliding_window=128),
        (Attention("full", 2, 8, 2, 8, 8), Attention("sliding", 2, 8, 2, 8, 8, window=128)),
    ),
    "layers named one by one": (
        llama(sliding_window=16, layer_types=["full_attention"] * 3 + ["sliding_attention"]),
        (Attention("full", 3, 8, 2, 8, 8), Attention("sliding", 1, 8, 2, 8, 8, window=16)),
    ),
    "a window that is switched off": (llama(sliding_window=128, use_sliding_window=False), (FULL,)),
    "Qwen 2 slides from a layer on": (
        llama(model_type="qwen2", sliding_window=128, use_sliding_window=True, max_window_layers=3),
        (Attention("full", 3, 8, 2, 8, 8), Attention("sliding", 1, 8, 2, 8, 8, window=128)),
    ),
    "Mistral slides in all layers": (
        llama(model_type="mistral", sliding_window=128), (Attention("sliding", 4, 8, 2, 8, 8, window=128),),
    ),
    "Mistral with an empty window does not": (llama(model_type="mistral"), (FULL,)),
    "a window that no rule is known for counts as none": (llama(sliding_window=128), (FULL,)),
    "MLA": (
        llama(kv_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=8),
        (Attention("mla", 4, 8, 8, 12, 8, latent=20),),
    ),
    "one key for all heads": (
        llama(num_key_value_heads=None, multi_query=True), (Attention("full", 4, 8, 1, 8, 8),),
    ),
    "layers that share the cache of others": (
        llama(num_kv_shared_layers=1), (Attention("full", 3, 8, 2, 8, 8),),
    ),
    "every second layer has attention": (
        llama(
            full_attention_interval=2, linear_num_value_heads=4, linear_num_key_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
        ),
        (
            Attention("full", 2, 8, 2, 8, 8),
            Attention("linear", 2, 8, 2, 8, 8, state=4 * 8 * 8 + (2 * 2 * 8 + 4 * 8) * 4),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYERS)
def test_layers(case: str) -> None:
    config, expected = LAYERS[case]
    assert from_config("tiny", config, None, "here").attention == expected


def test_layers_whose_tensors_a_config_does_not_tell_are_asked_for() -> None:
    mamba = llama(attn_layer_period=2, mamba_d_state=16)
    with pytest.raises(ShapeError) as caught:
        from_config("tiny", mamba, None, "here")
    assert caught.value.message == "tiny: config.json does not say how its linear layers are built"
    shape = from_config(
        "tiny", mamba, [Tensor("model.embed_tokens.weight", "BF16", (1000, 64), 128_000)], "here"
    )
    assert shape.attention[1] == Attention("linear", 2, 8, 2, 8, 8, state=2 * 64 * (16 + 4))


def test_a_model_that_sees() -> None:
    config = {
        "model_type": "glm4v", "tie_word_embeddings": False, "text_config": llama(),
        "vision_config": {
            "depth": 2, "hidden_size": 32, "num_heads": 4, "intermediate_size": 96, "out_hidden_size": 64,
            "patch_size": 14, "spatial_merge_size": 2, "image_size": 336,
        },
    }  # fmt: skip
    shape = from_config("tiny", config, None, "here")
    # A phone's screen, 1080 × 2400, in squares of 28 pixels: 39 × 86 of them, of four patches each.
    assert shape.vision == Vision(2, 32, 64, 4, patches=13_416, tokens_per_image=3354)
    assert any(item.group == "vision" for item in shape.weights)


def test_experts() -> None:
    config = llama(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, model_type="qwen3_moe")
    shape = from_config("tiny", config, None, "here")
    assert (shape.experts, shape.experts_used, shape.intermediate) == (4, 2, 64)
    assert sum(item.elements for item in shape.weights if item.group == "experts") == 4 * 4 * 3 * 64 * 32


# What is wrong → the whole message. Each ends in exit code 2.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no layers": (
        llama(num_hidden_layers=None),
        "lacks num_hidden_layers or n_layer or num_layers or n_layers",
    ),
    "no vocabulary": (llama(vocab_size=None), "lacks vocab_size or padded_vocab_size"),
    "zero heads": (
        llama(num_attention_heads=0),
        ": num_attention_heads is 0, which cannot be: 1 to 65536 can",
    ),
    "negative": (llama(hidden_size=-64), ": hidden_size is -64, which cannot be: 1 to 4194304 can"),
    "a trillion layers": (
        llama(num_hidden_layers=10**12),
        ": num_hidden_layers is 1000000000000, which cannot be: 1 to 4096 can",
    ),
    "more digits than fit": (
        llama(num_hidden_layers=10**5000),
        ": num_hidden_layers is a number of more than 20 digits, which cannot be: 1 to 4096 can",
    ),
    "a text": (llama(num_hidden_layers="4"), ": num_hidden_layers is '4', not a whole number"),
    "a fraction": (llama(vocab_size=1000.5), ": vocab_size is 1000.5, not a whole number"),
    "a truth value": (llama(vocab_size=True), ": vocab_size is True, not a whole number"),
    "a list": (llama(hidden_size=[64]), ": hidden_size is [64], not a whole number"),
    "KV heads that do not divide": (
        llama(num_key_value_heads=3),
        ": num_key_value_heads is 3, which does not divide the 8 attention heads",
    ),
    "more KV heads than heads": (
        llama(num_key_value_heads=16),
        ": num_key_value_heads is 16, which does not divide the 8 attention heads",
    ),
    "heads that do not divide": (
        llama(num_attention_heads=7, num_key_value_heads=None),
        ": hidden_size is 64, which the 7 attention heads do not divide, and there is no head_dim",
    ),
    "too few layer types": (llama(layer_types=["full_attention"]), ": layer_types names 1 layers of 4"),
    "a layer nobody knows": (
        llama(layer_types=["quantum"] * 4),
        ": layer_types has a layer of the kind 'quantum', whose cache is not known here",
    ),
    "a window without a size": (
        llama(layer_types=["sliding_attention"] * 4), "lacks sliding_window or attention_chunk_size",
    ),
    "text_config that is none": (
        {"text_config": 7}, ": text_config is 7, not a group of fields",
    ),
    "a field inside it": (
        {"text_config": llama(vocab_size=0)},
        ": text_config.vocab_size is 0, which cannot be: 1 to 67108864 can",
    ),
    "more experts used than there are": (
        llama(num_experts=4, num_experts_per_tok=5), ": num_experts_per_tok is 5, more than the 4 experts",
    ),
    "a dtype nobody knows": (
        llama(torch_dtype="int3"),
        ": torch_dtype is 'int3', which is none of float32, float16, bfloat16, float64",
    ),
    "a quantisation nobody knows": (
        llama(quantization_config={"quant_method": "magic"}),
        " says quant_method 'magic', which is not known here",
    ),
    "a switch that is none": (
        llama(tie_word_embeddings="no"),
        ": tie_word_embeddings is 'no', neither true nor false",
    ),
    "a name that is none": (llama(model_type=4), ": model_type is 4, not a text"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_named(case: str) -> None:
    config, expected = WRONG[case]
    with pytest.raises(ShapeError) as caught:
        from_config("tiny", config, None, "here")
    assert caught.value.message == f"tiny: config.json{'' if expected[0] in ': ' else ' '}{expected}"
    assert caught.value.code is ExitCode.USAGE
    assert caught.value.hint


def test_a_config_that_is_no_mapping() -> None:
    with pytest.raises(ShapeError, match=r"tiny: config\.json holds no fields"):
        from_config("tiny", [], None, "here")  # type: ignore[arg-type]


def test_a_family_whose_tensors_no_configuration_tells() -> None:
    with pytest.raises(ShapeError) as caught:
        from_config("tiny", llama(model_type="lfm2"), None, "here")
    assert (caught.value.message, caught.value.hint) == (
        "tiny: config.json alone does not say what the layers of lfm2 are made of",
        "name the folder or the repository with its weights: their headers say it",
    )


def test_tensors_of_a_family_nobody_knows_are_a_guess_and_said_to_be_one() -> None:
    shape = from_config("tiny", llama(model_type="novel"), None, "here", "ran")
    assert (shape.source, shape.confidence) == (
        "here; its tensors as Llama would have them, as nothing is known of novel", "unconfirmed",
    )  # fmt: skip
    read = from_config("tiny", llama(model_type="novel"), [Tensor("a.weight", "BF16", (2, 2), 8)], "here")
    assert (read.source, read.confidence) == ("here", "ran")
