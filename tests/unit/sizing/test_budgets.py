"""Budgets as a whole, verdicts on machines, and what cannot be asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.errors import UsageError
from provisioner.sizing import catalogue
from provisioner.sizing.budgets import budget, fixed_needs, judge, needs, settled, verdict
from provisioner.sizing.model import Load, Machine, Way

GB = 10**9
SHAPE = catalogue.shape("Llama-3.1-8B")
MACHINE = Machine(64 * GB, 24 * GB, 1)
WAYS = (
    Way("transformers", "cuda"), Way("transformers", "cuda", "nf4"), Way("transformers", "cpu"),
    Way("transformers", "cuda", gpu_layers=20), Way("vllm", "cuda"), Way("vllm", "cuda", "awq4"),
    Way("llama", "cuda", "Q4_K_M", gpu_layers=20), Way("llama", "cuda", gpu_layers=33), Way("llama", "cpu"),
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.runtime}-{way.device}-{way.quantization}")
def test_the_sums_without_parts_are_those_of_the_parts(way: Way) -> None:
    load = Load(5000, batch=2, images=1)
    found = budget(SHAPE, way, load)
    assert needs(SHAPE, way, load) == (found.vram_bytes, found.ram_bytes)
    assert needs(SHAPE, way, load, fixed_needs(SHAPE, way)) == (found.vram_bytes, found.ram_bytes)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.runtime}-{way.device}-{way.quantization}")
def test_every_part_says_why_and_by_whom(way: Way) -> None:
    for part in budget(SHAPE, way, Load(5000, images=1), MACHINE).parts:
        assert part.nbytes > 0
        assert part.why
        assert part.source
        assert part.confidence in ("ran", "doc", "memory", "unconfirmed")


# Bytes of VRAM and RAM on a machine → the verdict.
VERDICTS: dict[str, tuple[Way, int, int, Machine, bool | None, str]] = {
    "both fit": (
        WAYS[0], 20 * GB, 10 * GB, MACHINE, True, "3.5 GB of VRAM and 53.8 GB of RAM left",
    ),
    "no VRAM left": (WAYS[0], 30 * GB, 10 * GB, MACHINE, False, "6.5 GB of VRAM are lacking"),
    "neither": (
        WAYS[0], 30 * GB, 70 * GB, MACHINE, False, "6.5 GB of VRAM are lacking and 6.2 GB of RAM are lacking",
    ),
    "the share of vLLM": (
        WAYS[4], 22 * GB, 10 * GB, MACHINE, False, "832 MB of VRAM are lacking of the 90% that vLLM takes",
    ),
    "on the CPU": (WAYS[2], 0, 10 * GB, MACHINE, True, "53.8 GB of RAM left"),
    "a GPU that says nothing of its memory": (
        WAYS[0], 20 * GB, 10 * GB, Machine(64 * GB, None, 1), None, "the GPU's memory is not known",
    ),
    "a machine that says nothing of its memory": (
        WAYS[0], 20 * GB, 10 * GB, Machine(None, 24 * GB, 1), None, "the machine's memory is not known",
    ),
    "one memory for both": (
        WAYS[0], 60 * GB, 10 * GB, Machine(128 * GB, None, 1, unified=True), True, "57.8 GB of RAM left",
    ),
    "more GPUs than there are": (
        replace(WAYS[0], gpus=2), 10 * GB, 10 * GB, MACHINE, False, "10.0 GB of VRAM are lacking",
    ),
    "no GPU": (WAYS[0], 10 * GB, 10 * GB, Machine(64 * GB), False, "10.0 GB of VRAM are lacking"),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_verdicts(case: str) -> None:
    way, vram, ram, machine, fits, because = VERDICTS[case]
    found = judge(way, vram, ram, machine)
    assert (found.fits, found.because) == (fits, because)


def test_what_vllm_reserves_is_not_what_it_needs() -> None:
    found = budget(SHAPE, Way("vllm", "cuda"), Load(1024), MACHINE)
    assert found.vram_bytes == int(0.9 * 0.98 * 24 * GB)
    room = verdict(found, MACHINE).vram_room
    assert room == next(part.nbytes for part in found.parts if part.name == "reserved") > 0


def test_llama_puts_as_many_layers_on_the_gpu_as_fit() -> None:
    way = Way("llama", "cuda", "Q4_K_M")
    counts = [
        settled(SHAPE, way, Load(4096), Machine(64 * GB, vram * GB, 1)).gpu_layers for vram in (1, 3, 5, 24)
    ]
    assert counts == sorted(counts)  # type: ignore[type-var]
    assert counts[-1] == 33
    for vram, layers in zip((1, 3, 5), counts, strict=False):
        machine = Machine(64 * GB, vram * GB, 1)
        assert (
            layers == 0 or verdict(budget(SHAPE, replace(way, gpu_layers=layers), Load(4096)), machine).fits
        )
        assert layers is not None
        more = replace(way, gpu_layers=layers + 1)
        assert verdict(budget(SHAPE, more, Load(4096)), machine).fits is False


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "a context of none": ({}, {"context": 0}, "context 0 cannot be", "say 1 or more"),
    "a negative context": ({}, {"context": -5}, "context -5 cannot be", "say 1 or more"),
    "no requests": ({}, {"batch": 0}, "batch 0 cannot be", "say 1 or more"),
    "negative images": ({}, {"images": -1}, "images -1 cannot be", "say 0 or more"),
    "an absurd context": ({}, {"context": 1 << 40}, f"context {1 << 40} cannot be", "say at most 2147483648"),
    "no GPUs": ({"gpus": 0}, {}, "gpus 0 cannot be", "say 1 or more"),
    "negative layers": ({"gpu_layers": -1}, {}, "gpu_layers -1 cannot be", "say 0 or more"),
    "more than the GPU": (
        {"utilization": 1.5}, {}, "utilization 1.5 cannot be", "say a share above 0, and 1 at most",
    ),
    "nothing of the GPU": (
        {"utilization": 0.0}, {}, "utilization 0 cannot be", "say a share above 0, and 1 at most",
    ),
    "a runtime nobody has": ({"runtime": "lama"}, {}, "no runtime lama", "did you mean llama?"),
    "a device nobody has": ({"device": "tpu"}, {}, "no device tpu", "cpu or cuda"),
    "vLLM on the CPU": (
        {"runtime": "vllm", "device": "cpu"}, {}, "vLLM is planned on GPUs only",
        "transformers and llama run on a CPU",
    ),
    "a dtype nobody has": ({"dtype": "float31"}, {}, "no dtype float31", "did you mean float32?"),
    "a cache dtype nobody has": ({"kv_dtype": "fp9"}, {}, "no dtype fp9", "did you mean fp8?"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case: str) -> None:
    way, load, message, hint = REFUSED[case]
    with pytest.raises(UsageError) as caught:
        budget(SHAPE, replace(Way("transformers", "cuda"), **way), replace(Load(), **load))
    assert (caught.value.message, caught.value.hint) == (message, hint)
