"""Tokens a second, from bytes and bandwidths."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner.sizing import catalogue
from provisioner.sizing.data import constant
from provisioner.sizing.model import Load, Machine, Way
from provisioner.sizing.speed import active, tokens_per_second

GB = 10**9
SHAPE = catalogue.shape("Llama-3.1-8B")
MACHINE = Machine(
    64 * GB, 24 * GB, 1, ram_bandwidth=50 * GB, vram_bandwidth=1000 * GB, link_bandwidth=25 * GB
)
SHORT = Load(2)
EMBEDDING = 2 * 128_256 * 4096


def rate(way: Way, load: Load = SHORT, machine: Machine = MACHINE) -> float:
    found = tokens_per_second(SHAPE, way, load, machine)
    assert found is not None
    return found


def test_a_step_reads_the_weights_but_not_the_embeddings() -> None:
    read = 2 * SHAPE.parameters - EMBEDDING
    assert active(SHAPE, Way("vllm", "cuda")) == read
    share = constant("vllm.cuda", "bandwidth").share
    assert rate(Way("vllm", "cuda")) == pytest.approx(1000 * GB * share / (read + 131_072))


def test_a_batch_reads_the_weights_once() -> None:
    assert 3.9 < rate(Way("vllm", "cuda"), Load(2, batch=4)) / rate(Way("vllm", "cuda")) < 4


def test_a_long_context_is_read_too() -> None:
    assert rate(Way("vllm", "cuda"), Load(131_072)) < 0.7 * rate(Way("vllm", "cuda"))


def test_layers_in_ram_cost_what_ram_and_link_are_slower() -> None:
    whole = rate(Way("llama", "cuda", "Q4_K_M", gpu_layers=33))
    half = rate(Way("llama", "cuda", "Q4_K_M", gpu_layers=16))
    cpu = rate(Way("llama", "cpu", "Q4_K_M"))
    assert whole > 9 * half > 9 * cpu
    assert rate(Way("transformers", "cuda", gpu_layers=16)) < rate(Way("transformers", "cuda")) / 10


def test_two_gpus_of_vllm_read_half_each() -> None:
    assert rate(Way("vllm", "cuda", gpus=2)) == pytest.approx(2 * rate(Way("vllm", "cuda")))
    assert rate(Way("llama", "cuda", gpus=2)) == rate(Way("llama", "cuda"))


def test_of_experts_only_those_in_use_are_read() -> None:
    shape, way = catalogue.shape("Qwen3-30B-A3B"), Way("vllm", "cuda")
    experts = sum(item.nbytes for item in shape.weights if item.group == "experts")
    embedding = 2 * 151_936 * 2048
    assert active(shape, way) == 2 * shape.parameters - embedding - experts + experts * 8 // 128
    assert active(shape, way) < active(shape, way, batch=8) < 2 * shape.parameters


def test_an_unknown_bandwidth_gives_no_figure() -> None:
    for way, machine in (
        (Way("vllm", "cuda"), replace(MACHINE, vram_bandwidth=None)),
        (Way("llama", "cpu"), replace(MACHINE, ram_bandwidth=None)),
        (Way("transformers", "cuda", gpu_layers=16), replace(MACHINE, link_bandwidth=None)),
    ):
        assert tokens_per_second(SHAPE, way, Load(2), machine) is None


def test_one_memory_for_both_has_one_bandwidth() -> None:
    unified = Machine(128 * GB, None, 1, ram_bandwidth=273 * GB, unified=True)
    share = constant("llama.cpp.cuda", "bandwidth").share
    way = Way("llama", "cuda", gpu_layers=33)
    assert rate(way, machine=unified) == pytest.approx(273 * GB * share / (active(SHAPE, way) + 131_072))
