"""Predicted beside measured peaks of resident bytes (docs/memory.md): every row within a tenth."""

from __future__ import annotations

import pytest

from provisioner.sizing import catalogue
from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Load, Shape, Way
from provisioner.sizing.shapes import from_config
from provisioner.sizing.smoke import LLAMA_CONTEXT, smoke_budget
from provisioner.target.runtime.backends import llama as llama_backend
from tests.peaks.shapes import RANDOM

MB = 10**6
GEMMA = catalogue.shape("gemma-3-270m")
GQA, QWEN, WIDE = (
    from_config(name, RANDOM[name], None, "a test") for name in ("gqa-0.3b", "qwen-0.5b", "wide-1b")
)

# Shape, dtype, context, batch, MB at the peak. These processes had no tokenizer.
TRANSFORMERS = [
    (GEMMA, "float32", 1024, 4, 1981.4), (GEMMA, "float32", 4096, 1, 1981.5),
    (GEMMA, "float16", 1024, 1, 1445.2),
    (GEMMA, "auto", 128, 4, 972.8), (GEMMA, "auto", 1024, 1, 964.8), (GEMMA, "auto", 1024, 4, 1077.0),
    (GEMMA, "auto", 4096, 1, 1101.5), (GEMMA, "auto", 4096, 4, 1501.9),
    (GQA, "float32", 1024, 1, 2223.2), (GQA, "float32", 1024, 4, 2251.0), (GQA, "auto", 1024, 1, 1043.8),
    (GQA, "auto", 1024, 4, 1244.4), (GQA, "auto", 4096, 1, 1189.5),
    (QWEN, "float32", 1024, 4, 3334.9), (QWEN, "auto", 1024, 1, 1413.9), (QWEN, "auto", 1024, 4, 1676.8),
    (QWEN, "auto", 4096, 1, 1488.6),
    (WIDE, "float32", 1024, 1, 6090.0), (WIDE, "auto", 1024, 1, 2486.2), (WIDE, "auto", 1024, 4, 3256.9),
    (WIDE, "auto", 4096, 1, 3211.1),
    # Measured after every constant was set.
    (GQA, "auto", 2048, 2, 1186.8), (QWEN, "auto", 2048, 2, 1507.8), (GQA, "float16", 512, 8, 1605.6),
    (GEMMA, "auto", 2048, 2, 1080.0),
]  # fmt: skip
# Context, the whole cache, MB at the peak: Gemma's own Q4_K_M.
LLAMA = [
    (512, True, 396.6), (2048, True, 430.2), (8192, True, 557.1),
    (512, False, 404.0), (2048, False, 429.1), (8192, False, 455.4),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "dtype", "context", "batch", "measured"), TRANSFORMERS)
def test_transformers(shape: Shape, dtype: str, context: int, batch: int, measured: float) -> None:
    found = budget(shape, Way("transformers", "cpu", dtype=dtype), Load(context, batch, prompt=context - 8))
    without = sum(part.nbytes for part in found.parts if part.name != "tokenizer")
    assert without / MB == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(("context", "whole", "measured"), LLAMA)
def test_llama(context: int, whole: bool, measured: float) -> None:
    way = Way("llama", "cpu", "Q4_K_M", whole_cache=whole)
    found = budget(GEMMA, way, Load(context, prompt=context - 8))
    assert found.ram_bytes / MB == pytest.approx(measured, rel=0.1)
    assert found.needed_ram < found.ram_bytes  # the pages that were copied in another order


SMOKES = {
    "llama": (Way("llama", "cpu", "Q4_K_M"), False, 418.6),
    "float32": (Way("transformers", "cpu", dtype="float32"), False, 2272.3),
    "bfloat16": (Way("transformers", "cpu", dtype="bfloat16"), False, 1328.8),
    "float32 from a GGUF": (Way("transformers", "cpu", dtype="float32"), True, 3384.2),
}


@pytest.mark.parametrize(("way", "gguf", "measured"), SMOKES.values(), ids=SMOKES.keys())
def test_the_smoke_test(way: Way, gguf: bool, measured: float) -> None:
    found = smoke_budget(GEMMA, way, 50, gguf=gguf)
    assert found.ram_bytes / MB == pytest.approx(measured, rel=0.1)


def test_the_smoke_test_s_own_context() -> None:
    assert llama_backend.CONTEXT == LLAMA_CONTEXT


def test_logits_of_a_passage_count_only_beyond_what_has_gone() -> None:
    way = Way("transformers", "cpu")
    plain, scored = (budget(GEMMA, way, Load(1024, scored=count)).ram_bytes for count in (0, 1024))
    assert 0.7 * 1024 * GEMMA.vocabulary * 2 < scored - plain <= 1024 * GEMMA.vocabulary * 2
