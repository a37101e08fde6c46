"""What layers keep of the tokens so far."""

from __future__ import annotations

from provisioner.sizing import catalogue
from provisioner.sizing.cache import bytes_of, per_token, rounded
from provisioner.sizing.model import Attention
from provisioner.sizing.shapes import from_config
from tests.unit.sizing.shaped import llama

MIB = 1 << 20


def test_a_7b_model_with_full_attention_heads_needs_half_a_megabyte_a_token() -> None:
    assert bytes_of(catalogue.shape("7B"), 1, 2) == 2 * 32 * 32 * 128 * 2 == 524_288


def test_llama_8b_needs_what_its_log_says() -> None:
    """llama.cpp's log of Llama 3 8B with n_ctx 512: KV self size = 64.00 MiB."""
    assert bytes_of(catalogue.shape("Llama-3.1-8B"), 512, 2) == 64 * MIB


def test_llama_8b_needs_what_the_log_of_vllm_says() -> None:
    """vLLM's log of Llama 3.1 8B: 3.78 GiB of cache are 30,960 tokens."""
    each = bytes_of(catalogue.shape("Llama-3.1-8B"), 30_960, 2)
    assert round(each / 2**30, 2) == 3.78


def test_kv_heads_count_and_not_parameters() -> None:
    eight, two = (from_config("tiny", llama(num_key_value_heads=heads), None, "here") for heads in (8, 2))
    assert bytes_of(eight, 100, 2) == 4 * bytes_of(two, 100, 2)


def test_deepseek_keeps_576_values_a_token_and_layer() -> None:
    assert bytes_of(catalogue.shape("DeepSeek-V3"), 1, 2) == 61 * 576 * 2


def test_windows_end_growth() -> None:
    shape = catalogue.shape("gemma-3-270m")  # 3 full layers, 15 of 512 tokens; one KV head of 256
    token = 2 * 256 * 2
    assert bytes_of(shape, 512, 2) == 18 * 512 * token
    assert bytes_of(shape, 4096, 2) == (3 * 4096 + 15 * 512) * token
    assert bytes_of(shape, 4096, 2, beyond_window=512, block=256) == (3 * 4096 + 15 * 1024) * token


def test_a_state_does_not_grow() -> None:
    shape = catalogue.shape("Qwen3-Next-80B-A3B")
    full, linear = shape.attention
    state = 36 * linear.state * 4
    assert (full.layers, linear.layers, per_token(linear)) == (12, 36, 0)
    assert bytes_of(shape, 1000, 2) == 12 * 1000 * 2 * 2 * 256 * 2 + state
    assert bytes_of(shape, 2000, 2) - state == 2 * (bytes_of(shape, 1000, 2) - state)


def test_keys_and_values_may_differ() -> None:
    assert per_token(Attention("full", 1, 8, 2, 64, 16)) == 2 * (64 + 16)


def test_rounded() -> None:
    assert [rounded(count, 16) for count in (0, 1, 16, 17)] == [0, 16, 16, 32]
