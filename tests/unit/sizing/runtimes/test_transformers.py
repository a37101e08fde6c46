"""transformers' memory: what the shapes of its layers say."""

from __future__ import annotations

from provisioner.sizing import catalogue
from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Load, Way
from provisioner.sizing.runtimes import transformers

GPU = Way("transformers", "cuda")
SEVEN = catalogue.shape("7B")
TOKEN = 524_288


def parts(way: Way, load: Load, name: str = "7B") -> dict[tuple[str, str], int]:
    return {(part.name, part.where): part.nbytes for part in budget(catalogue.shape(name), way, load).parts}


def test_a_7b_model_in_16_bits() -> None:
    found = parts(GPU, Load(512))
    assert found["weights", "vram"] == 2 * SEVEN.parameters
    # One layer of the 32 is there twice while its longer tensor is made.
    assert found["kv cache", "vram"] == 512 * TOKEN * 33 // 32
    # 511 tokens: three tensors of the feed-forward network, and the residual twice.
    assert found["activations", "vram"] == 511 * (3 * 11_008 + 2 * 4096) * 2


def test_the_cache_grows_with_tokens_and_requests() -> None:
    one = parts(GPU, Load(512))["kv cache", "vram"]
    assert parts(GPU, Load(1024))["kv cache", "vram"] == 2 * one
    assert parts(GPU, Load(512, batch=4))["kv cache", "vram"] == 4 * one


def test_a_short_prompt_takes_little_besides() -> None:
    long, short = (parts(GPU, Load(8192, prompt=prompt)) for prompt in (0, 16))
    assert short["kv cache", "vram"] == long["kv cache", "vram"]
    assert short["activations", "vram"] < long["activations", "vram"] // 100
    # Of 16 tokens the logits of the last one, made 32-bit, are not the most yet.
    assert transformers.activations_of(SEVEN, 1, 1, 2) == 32_000 * (2 + 8) + 4096 * 2


def test_sliding_layers_keep_the_whole_prompt_until_the_first_token() -> None:
    shape = catalogue.shape("gemma-3-270m")
    token = 2 * 256 * 2
    assert transformers.cache_of(shape, Load(4096), 2)[0] == 18 * 4095 * token
    assert transformers.cache_of(shape, Load(4096, prompt=16), 2)[0] == (3 * 4096 + 15 * 512) * token


def test_several_sequences_have_a_mask() -> None:
    two = transformers.activations_of(SEVEN, 2, 1000, 2)
    assert two == 2 * transformers.activations_of(SEVEN, 1, 1000, 2) + 2 * 1000 * 1000


def test_on_the_cpu_all_is_in_ram() -> None:
    found = parts(Way("transformers", "cpu", dtype="float32"), Load(512))
    assert {where for _, where in found} == {"ram"}
    assert found["weights", "ram"] == 4 * SEVEN.parameters
    assert found["kv cache", "ram"] == 2 * parts(GPU, Load(512))["kv cache", "vram"]


def test_layers_in_ram_visit_the_gpu_one_by_one() -> None:
    found = parts(Way("transformers", "cuda", gpu_layers=24), Load(512))
    assert found["offloaded weights", "ram"] == 2 * SEVEN.parameters // 4
    assert found["weights", "vram"] == 2 * SEVEN.parameters - found["offloaded weights", "ram"]
    assert found["visiting layer", "vram"] == 2 * SEVEN.parameters // 32


def test_images_of_all_requests_are_encoded_at_once() -> None:
    one, six = (
        parts(GPU, load, "AutoGLM-Phone-9B")["vision", "vram"]
        for load in (Load(8192, images=1), Load(8192, batch=2, images=3))
    )
    assert one == 13_416 * (3 * 4096 + 4 * 1536) * 2
    assert six == 6 * one


def test_two_gpus_share_weights_and_cache() -> None:
    one, two = (parts(Way("transformers", "cuda", gpus=gpus), Load(512)) for gpus in (1, 2))
    assert 2 * two["weights", "vram"] == one["weights", "vram"]
    assert 2 * two["kv cache", "vram"] == one["kv cache", "vram"]
    assert two["activations", "vram"] == one["activations", "vram"]
