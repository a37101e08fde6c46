"""vLLM's memory: a share of the GPU, and what must fit into it."""

from __future__ import annotations

from provisioner.sizing import catalogue
from provisioner.sizing.budgets import budget, verdict
from provisioner.sizing.model import Load, Machine, Way
from provisioner.sizing.runtimes import vllm

GPU = Way("vllm", "cuda")
GB = 10**9
BIG = Machine(128 * GB, 48 * GB, 1)
LLAMA_8B = catalogue.shape("Llama-3.1-8B")


def vram(way: Way, load: Load, machine: Machine | None = BIG, name: str = "Llama-3.1-8B") -> dict[str, int]:
    found = budget(catalogue.shape(name), way, load, machine)
    return {part.name: part.nbytes for part in found.parts if part.where == "vram"}


def test_it_takes_its_share_whatever_it_needs() -> None:
    small, large = (vram(GPU, load) for load in (Load(512), Load(131_072)))
    assert sum(small.values()) == sum(large.values()) == vllm.share(GPU, BIG) == int(0.9 * 0.98 * 48 * GB)
    assert small["reserved"] - large["reserved"] == large["kv cache"] - small["kv cache"]


def test_beside_weights_and_cache_it_is_what_logs_show() -> None:
    """Llama 3.1 8B on cards of 40 and 48 GB: 1.22 and 1.24 GiB beside weights and cache, before graphs."""
    found = vram(GPU, Load(512))
    rest = found["activations"] + found["context"] + found["fragmentation"]
    assert abs(rest / 2**30 / 1.23 - 1) < 0.1


def test_the_cache_comes_in_blocks_of_16_tokens() -> None:
    assert vram(GPU, Load(1))["kv cache"] == 16 * 131_072
    assert vram(GPU, Load(17, batch=3))["kv cache"] == 3 * 32 * 131_072


def test_sliding_layers_keep_a_step_besides_their_window() -> None:
    found = vram(GPU, Load(32_768), name="gemma-3-270m")
    assert found["kv cache"] == (3 * 32_768 + 15 * (512 + 2048)) * 1024


def test_heads_are_divided_among_gpus_and_none_is_cut() -> None:
    one, eight, sixteen = (vram(Way("vllm", "cuda", gpus=gpus), Load(1024), None) for gpus in (1, 8, 16))
    assert one["kv cache"] == 8 * eight["kv cache"] == 8 * sixteen["kv cache"]
    assert one["weights"] == 8 * eight["weights"]


def test_a_share_that_is_too_small_says_so() -> None:
    machine = Machine(64 * GB, 16 * GB, 1)
    found = verdict(budget(LLAMA_8B, GPU, Load(4096), machine), machine)
    assert found.fits is False
    assert found.because.endswith("of VRAM are lacking of the 90% that vLLM takes")
    assert "reserved" not in vram(GPU, Load(4096), machine)
