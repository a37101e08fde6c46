"""The planner's data files: every entry as its kind says, and every name that code uses."""

from __future__ import annotations

import pytest

from provisioner.sizing import catalogue
from provisioner.sizing.data import (
    Block,
    Constant,
    Family,
    Published,
    Quantization,
    blocks,
    constant,
    family,
    quantizations,
    read,
)
from provisioner.sourced import Sourced

FILES: dict[str, type[Sourced]] = {
    "blocks": Block, "families": Family, "processes": Constant, "published": Published,
    "quantizations": Quantization,
}  # fmt: skip
# What each process must have in the data.
NEEDED = {
    "transformers.cpu": {"process", "tokenizer", "unpacking", "fragmentation", "bandwidth"},
    "transformers.cuda": {"process", "context", "activations", "fragmentation", "loading", "bandwidth"},
    "vllm.cuda": {
        "process", "context", "graphs", "tokens", "sequences", "sampling", "activations", "fragmentation",
        "bandwidth",
    },
    "llama.cpp.cpu": {"process", "tokenizer", "tokens", "repacked", "bandwidth"},
    "llama.cpp.cuda": {"process", "context", "tokens", "fragmentation", "bandwidth"},
    "machine": {"vram", "ram", "link"},
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_entries_are_as_their_kind_says(name: str) -> None:
    entries: tuple[Sourced, ...] = read(name, FILES[name])
    assert entries
    for entry in entries:
        assert entry.source
        assert entry.confidence in ("ran", "doc", "memory", "unconfirmed")


def test_names_are_there_once() -> None:
    for names in (
        [entry.name for entry in read("blocks", Block)],
        [entry.name for entry in read("quantizations", Quantization)],
        [entry.model_type for entry in read("families", Family)],
        [(entry.process, entry.what) for entry in read("processes", Constant)],
    ):
        assert len(names) == len(set(names))


def test_every_constant_that_code_asks_for_is_there_and_no_other() -> None:
    there: dict[str, set[str]] = {}
    for entry in read("processes", Constant):
        there.setdefault(entry.process, set()).add(entry.what)
    assert there == NEEDED
    with pytest.raises(KeyError):
        constant("transformers.cpu", "nothing")


def test_quantisations_name_blocks_that_are_known() -> None:
    for entry in quantizations().values():
        assert not entry.blocks or entry.blocks in blocks()
        assert all(rule.dtype in blocks() for rule in entry.mixture)
        assert entry.loss
        assert entry.loss_source
        assert entry.rank >= 0
        assert entry.perplexity is None or abs(entry.rank - entry.perplexity) < 0.01


def test_an_unknown_family_is_like_llama() -> None:
    unknown = family("something new")
    assert (unknown.pattern, unknown.norms, unknown.gateless, unknown.tied) == (0, 2, False, None)


def test_published_figures_are_of_models_that_are_known() -> None:
    for entry in read("published", Published):
        assert catalogue.shape(entry.model).name == entry.model
        assert entry.doubt, "a figure of others is shown with its doubt"
