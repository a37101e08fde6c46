"""The model's own bytes, where its shape is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner import profiles
from provisioner.compat.ways import way_of
from provisioner.sizing import catalogue
from provisioner.sizing.model import Load, Way
from provisioner.sizing.plan import fits, largest_context

from .asking import GPU_PROFILE, ask, box, chains, conflict, decision

SHAPE = catalogue.shape("AutoGLM-Phone-9B")
NOTHING_BUT_THE_MODEL = {"requires.vram_bytes": 1, "requires.memory_bytes": 0}


@pytest.mark.parametrize(
    ("profile", "way"),
    [
        (GPU_PROFILE, Way("transformers", "cuda", dtype="bfloat16")),
        ("autoglm-phone-9b-nf4", Way("transformers", "cuda", "nf4", dtype="bfloat16")),
        ("gemma3-270m", Way("llama", "cpu", "Q4_K_M")),
    ],
)
def test_a_profile_is_a_way_of_running(profile: str, way: Way) -> None:
    assert way_of(profiles.load(profile)) == way


def test_a_model_that_does_not_fit_says_how_much_it_takes_and_what_would_fit() -> None:
    where = box(gpu="RTX 4090", driver="580.95.05")
    wanted = ask(overrides=NOTHING_BUT_THE_MODEL, shape=SHAPE, load=Load(context=131_072))
    told = [one.split(" → ") for one in chains(where, wanted)]
    assert len(told) == 1
    box_link, data_link, *asked_links = told[0]
    assert box_link == "the largest GPU here, RTX 4090, has 26 GB of VRAM"
    assert data_link.startswith("that takes ")
    assert data_link.endswith(" of VRAM with 131072 tokens of context")
    assert sorted(asked_links) == [
        "131072 tokens of context",
        "autoglm-phone-9b runs AutoGLM-Phone-9B with the weights as published through transformers",
    ]
    most = largest_context(SHAPE, way_of(wanted.profile), where.machine)
    assert f"ask for at most {most} tokens of context" in conflict(where, wanted).changes
    fewer = replace(wanted, load=Load(context=most))
    assert decision(where, fewer).scope == "system"
    assert fits(SHAPE, way_of(wanted.profile), Load(context=most + 1), where.machine) is False


def test_the_memory_of_the_machine_counts_too() -> None:
    small = box(gpu="RTX 4090", driver="580.95.05", memory="2GB")
    told = chains(small, ask(overrides=NOTHING_BUT_THE_MODEL, shape=SHAPE))
    assert [one.partition(" → ")[0] for one in told] == ["2.0 GB of memory here"]


@pytest.mark.parametrize("words", [{"memory": None}, {"gpu": None, "driver": None, "memory": None}])
def test_what_is_not_known_constrains_nothing(words: dict[str, None]) -> None:
    assert decision(box(**words), ask(shape=SHAPE)).scope == "system"
