"""What a tensor is for, by its name."""

from __future__ import annotations

import pytest

from provisioner.sizing.tensors import grouped, kind_of
from tests.unit.sizing.shaped import Tensor

KINDS = {
    "model.embed_tokens.weight": ("embedding", ""),
    "model.language_model.embed_tokens.weight": ("embedding", ""),
    "transformer.wte.weight": ("embedding", ""),
    "lm_head.weight": ("head", ""),
    "model.layers.3.self_attn.q_proj.weight": ("attention", "q"),
    "model.layers.3.self_attn.qkv_proj.weight": ("attention", "qkv"),
    "model.layers.3.self_attn.v_proj.bias": ("attention", "v"),
    "model.layers.3.self_attn.o_proj.weight": ("attention", "o"),
    "model.layers.3.self_attn.q_norm.weight": ("norm", ""),
    "model.layers.3.self_attn.kv_b_proj.weight": ("attention", "kv_b"),
    "model.layers.3.self_attn.kv_a_proj_with_mqa.weight": ("attention", ""),
    "model.layers.3.mlp.gate_proj.weight": ("mlp", "up"),
    "model.layers.3.mlp.down_proj.weight": ("mlp", "down"),
    "model.layers.3.mlp.gate.weight": ("mlp", "router"),
    "model.layers.3.mlp.experts.17.down_proj.weight": ("experts", "down"),
    "model.layers.3.mlp.experts.17.up_proj.weight": ("experts", "up"),
    "model.layers.3.mlp.shared_experts.down_proj.weight": ("mlp", "down"),
    "model.layers.3.input_layernorm.weight": ("norm", ""),
    "model.visual.blocks.3.attn.qkv.weight": ("vision", ""),
    "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": ("vision", ""),
    "multi_modal_projector.linear.weight": ("vision", ""),
    "token_embd.weight": ("embedding", ""),
    "output.weight": ("head", ""),
    "output_norm.weight": ("norm", ""),
    "blk.3.attn_q.weight": ("attention", "q"),
    "blk.3.attn_v.weight": ("attention", "v"),
    "blk.3.attn_output.weight": ("attention", "o"),
    "blk.3.attn_k_norm.weight": ("norm", ""),
    "blk.3.ffn_down.weight": ("mlp", "down"),
    "blk.3.ffn_gate_inp.weight": ("mlp", "router"),
    "blk.3.ffn_down_exps.weight": ("experts", "down"),
    "blk.3.ffn_gate_exps.weight": ("experts", "up"),
    "v.blk.3.attn_q.weight": ("vision", ""),
    "mm.0.weight": ("vision", ""),
    "what.is.this": ("other", ""),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name: str) -> None:
    assert kind_of(name) == KINDS[name]


def test_equal_tensors_are_counted_together() -> None:
    tensors = [
        Tensor(f"model.layers.{layer}.self_attn.q_proj.{kind}", "BF16", shape, size)
        for layer in range(3)
        for kind, shape, size in (("weight", (64, 32), 4096), ("bias", (64,), 128))
    ]
    matrices, biases = grouped(tensors)
    assert (matrices.elements, matrices.nbytes, matrices.count, matrices.row) == (3 * 2048, 3 * 4096, 3, 32)
    assert (matrices.matrices, matrices.largest, biases.matrices, biases.elements) == (True, 2048, False, 192)
