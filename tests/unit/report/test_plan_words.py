"""What a person reads of a plan, compared whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from provisioner.report.plan import PlannedHost
from provisioner.report.plan_words import asked, made, needed, text, thousands
from provisioner.sizing import catalogue
from provisioner.sizing.model import Load, Machine, Way
from tests.unit.report import plans

POSSIBLE = """\
  imagined: nf4 through transformers on the GPU, 4096 tokens of context
  what provision up would put on it
    driver       install  driver 999.1 by road
    toolkit      none     no CUDA toolkit
    python       keep     Python 3.12 is kept
    environment  install  the locked environment lock
    Secure Boot           enrol it
    weights      fetch    14 GB as published at org/imagined, quantised to nf4 while loading
  VRAM: 6.0 GB of 8.0 GB, 2.0 GB left
    weights   5.0 GB  why weights
    kv cache  1.0 GB  why kv cache
  RAM: 3.0 GB of 16 GB, 12 GB left beside 1.0 GB that stay free
    process  3.0 GB  why process
  fits in memory
    2.0 GB of VRAM left
    largest context: 6000 tokens
    largest batch: 2 requests of 4096 tokens
    about 31 tokens/s, estimated from the memory's bandwidth
  best for this box
    8.0 GB: nf4 through transformers with 6k context (the one above)
    loss: some, of nf4
  other ways
    way                                            VRAM    RAM     context  requests  tokens/s
    Q4_K_M through llama.cpp                       5.0 GB  3.0 GB  8k       2         31
    the weights as published through transformers  15 GB   3.0 GB  0        0         31        {lacking}
  what more would buy
    16 GB of VRAM  the weights as published
  published by others
    15 GB: somebody said so (a forum)
  notes
    not known, so not checked: whether Secure Boot is on
    images: none were asked for
""".replace("{lacking}", "7.0 GB of VRAM are lacking")
WHY = """\
  why
    fact                          source        confidence
    Imaginary 8 here              the machine
    Imaginary 8 needs driver 999  a data sheet  memory
  why so much memory
    part           source              confidence
    VRAM weights   source of weights   doc
    VRAM kv cache  source of kv cache  doc
    RAM process    source of process   doc
"""
IMPOSSIBLE = """\
  imagined: AutoGLM-Phone-9B, the model of Open-AutoGLM, BF16 through transformers on an NVIDIA GPU
  impossible: Imaginary 8 here → Imaginary 8 needs driver 999 → --driver 1
  change: nothing that is known here would make it possible
"""


def said(host: PlannedHost, **how: Any) -> str:
    return "".join(f"{line}\n" for line in text(host, **how))


def test_what_is_possible() -> None:
    assert said(plans.host()) == POSSIBLE


def test_why() -> None:
    assert said(plans.host(), why=True) == POSSIBLE + WHY


def test_what_is_impossible() -> None:
    assert said(plans.host(None, plans.CONFLICT)) == IMPOSSIBLE


def test_a_model_that_does_not_fit() -> None:
    lines = said(plans.host(plans.PUBLISHED, plans.TOO_LARGE)).splitlines()
    start = lines.index("  does not fit in memory")
    way = "--runtime transformers --quantization nf4: nf4 through transformers leaves 2.0 GB of VRAM"
    assert lines[:3] == [
        "  imagined: the weights as published through transformers on the GPU, 4096 tokens of context",
        "  impossible: 8.0 GB of VRAM here → Imaginary 8 needs driver 999",
        f"  change: say {way}",
    ]
    assert lines[start : start + 6] == [
        "  does not fit in memory",
        "    7.0 GB of VRAM are lacking",
        "    not even one token of context fits",
        "  best for this box",
        "    8.0 GB: nf4 through transformers with 6k context",
        "    loss: some, of nf4",
    ]


def test_nothing_fits_and_nothing_is_known() -> None:
    host = plans.host()
    assert host.outline is not None
    assert host.outline.answer is not None
    nothing = replace(host.outline.answer, best=None)
    assert "    no way that is known fits\n" in said(plans.host(answer=nothing))
    unknown = replace(plans.NF4, verdict=replace(plans.NF4.verdict, fits=None, because="nobody knows"))
    lines = said(plans.host(answer=replace(nothing, chosen=unknown))).splitlines()
    start = lines.index("  not known whether it fits in memory")
    assert lines[start + 1 : start + 3] == ["    nobody knows", "  best for this box"]


def test_a_box_that_could_not_be_asked() -> None:
    error = ProvisionError("box cannot be reached", hint="start it")
    assert said(PlannedHost("box", error=error)) == "  failed: box cannot be reached\n  next: start it\n"


@pytest.mark.parametrize(
    ("load", "text_"),
    [
        (Load(), "4096 tokens of context"),
        (Load(512, images=1), "512 tokens of context with 1 image"),
        (Load(512, 4, 2), "4 requests at a time of 512 tokens each with 2 images"),
    ],
)
def test_a_load_in_words(load: Load, text_: str) -> None:
    assert asked(load) == text_


@pytest.mark.parametrize(
    ("machine", "text_"),
    [
        (Machine(None, 8 * plans.GB, 1), "VRAM: 6.0 GB of 8.0 GB, 2.0 GB left"),
        (Machine(None, 9 * plans.GB, 1), "VRAM: 6.0 GB of 9.0 GB, 2.0 GB left beside 1.0 GB that stay free"),
        (Machine(None, None, 1), "VRAM: 6.0 GB; how much there is, is not known"),
        (Machine(120 * plans.GB, None, 1, unified=True), "VRAM: 6.0 GB of the machine's 120 GB, 2.0 GB left"),
    ],
)
def test_how_much_is_needed_of_how_much(machine: Machine, text_: str) -> None:
    assert needed(plans.NF4, machine, "vram") == text_


@pytest.mark.parametrize(
    ("count", "text_"), [(0, "0"), (999, "999"), (6000, "6k"), (6999, "6k"), (8192, "8k"), (131_072, "128k")]
)
def test_tokens_in_words(count: int, text_: str) -> None:
    assert thousands(count) == text_


@pytest.mark.parametrize(
    ("way", "text_"),
    [
        (Way("transformers", "cuda"), ""),
        (Way("transformers", "cuda", "int8"), ", quantised to int8 while loading"),
        (Way("vllm", "cuda", "awq4"), "; instead a checkpoint that is quantised to awq4 already"),
        (Way("llama", "cuda", "Q4_K_M"), "; as a Q4_K_M GGUF by hand, or published by others"),
        (Way("llama", "cuda"), "; as a GGUF by hand, or published by others"),
    ],
)
def test_what_becomes_of_the_weights(way: Way, text_: str) -> None:
    assert made(way, catalogue.shape("Qwen3-8B")) == text_
    gguf = replace(catalogue.shape("Qwen3-8B"), format="gguf")
    assert made(Way("llama", "cpu"), gguf) == ""
