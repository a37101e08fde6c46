"""The 270M model in real runs: the resident peak of each process beside what was predicted for it.

A tenth of the whole is what is promised. Where two runs of one kind take the same, half of that is asked for,
and of what comes beside the weights: else most constants could be a fifth off and nobody would see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioner.sizing.model import Load, Way
from tests.peaks.runs import Ran, expected, run
from tests.real_box import RealBox, needs_torch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def check(way: Way, load: Load, model: Path, ran: Ran, *, repeats: bool) -> None:
    found = expected(model, way, load, tokenizer=way.runtime == "llama")
    weights = sum(part.nbytes for part in found.parts if part.name == "weights")
    predicted, measured = f"{found.ram_bytes / 1e6:.0f} MB", f"{ran.peak / 1e6:.0f} MB"
    print(f"predicted {predicted}, measured {measured}, of it weights {weights / 1e6:.0f} MB")
    assert found.ram_bytes == pytest.approx(ran.peak, rel=0.1)
    if repeats:
        assert found.ram_bytes - weights == pytest.approx(ran.peak - weights, rel=0.05)


@pytest.mark.parametrize(("context", "whole"), [(512, True), (2048, True), (2048, False), (8192, True)])
def test_llama(real_box: RealBox, context: int, whole: bool) -> None:
    way, load = Way("llama", "cpu", whole_cache=whole), Load(context)
    check(way, load, real_box.gguf, run(real_box.llama, way, load, real_box.gguf), repeats=whole)


# Dtype, context, batch.
CASES = [
    ("float32", 128, 1), ("float32", 1024, 1), ("float16", 128, 1), ("float16", 1024, 1),
    ("bfloat16", 128, 1), ("bfloat16", 1024, 1), ("bfloat16", 1024, 4),
]  # fmt: skip


def asked(dtype: str, context: int, batch: int) -> tuple[Way, Load]:
    return Way("transformers", "cpu", dtype=dtype), Load(context, batch)


@pytest.fixture(scope="module")
def running(real_box: RealBox) -> Iterator[Callable[[str, int, int], Ran]]:
    """All cases, two processes at a time: importing torch takes one core, and peaks are each one's own."""
    python, model = real_box.torch, real_box.safetensors
    with ThreadPoolExecutor(2) as pool:
        ran = {case: pool.submit(run, python, *asked(*case), model) for case in CASES}
        yield lambda *case: ran[case].result()


@needs_torch
@pytest.mark.parametrize(("dtype", "context", "batch"), CASES)
def test_transformers(
    running: Callable[[str, int, int], Ran], real_box: RealBox, dtype: str, context: int, batch: int
) -> None:
    repeats = dtype != "bfloat16" or context < 1024
    check(
        *asked(dtype, context, batch), real_box.safetensors, running(dtype, context, batch), repeats=repeats
    )
