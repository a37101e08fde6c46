"""The models that are known without a network."""

from __future__ import annotations

import pytest

from provisioner.errors import UsageError
from provisioner.sizing import catalogue, derived
from provisioner.sizing.fields import Fields
from provisioner.sizing.layers import attention_of
from provisioner.sizing.model import Weights

# Published sizes, in billions of values to two digits: what each model calls itself, or its page says.
BILLIONS = {
    "7B": 6.74, "AutoGLM-Phone-9B": 10.29, "DeepSeek-V2-Lite": 15.71, "DeepSeek-V3": 671.03,
    "Llama-3.1-70B": 70.55, "Llama-3.1-8B": 8.03, "Mistral-7B-v0.3": 7.25, "Qwen2.5-7B": 7.62,
    "Qwen3-30B-A3B": 30.53, "Qwen3-8B": 8.19, "Qwen3-Next-80B-A3B": 79.67, "gemma-3-270m": 0.27,
    "gemma-3-4b": 4.30, "gpt-oss-20b": 20.91,
}  # fmt: skip


def sums(weights: tuple[Weights, ...]) -> dict[tuple[str, bool], int]:
    found: dict[tuple[str, bool], int] = {}
    for item in weights:
        key = (item.group, item.matrices)
        found[key] = found.get(key, 0) + item.elements
    return found


def test_the_models_and_their_sizes() -> None:
    assert {name: round(catalogue.shape(name).parameters / 1e9, 2) for name in catalogue.known()} == BILLIONS


@pytest.mark.parametrize("name", sorted(BILLIONS))
def test_the_configuration_alone_gives_the_tensors_that_transformers_builds(name: str) -> None:
    entry = catalogue.model(name)
    whole = Fields(name, entry.config)
    text = whole.inner("text_config") if whole.has("text_config") else whole
    tied = bool(entry.config["tie_word_embeddings"])
    ours = derived.weights_of(whole, text, attention_of(text), tied)
    assert sums(ours) == sums(entry.tensors)


def test_a_repository_and_other_letters_name_the_same_model() -> None:
    assert catalogue.shape("zai-org/autoglm-phone-9b") == catalogue.shape("AutoGLM-Phone-9B")


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        catalogue.shape("Lama-3.1-8B")
    assert (caught.value.message, caught.value.hint) == (
        "no shape of Lama-3.1-8B is known", "did you mean Llama-3.1-8B?",
    )  # fmt: skip


def test_a_doubt_goes_wherever_the_numbers_go() -> None:
    shape = catalogue.shape("AutoGLM-Phone-9B")
    assert shape.source.startswith("transformers 5.23.0, Glm4vConfig on the meta device")
    assert "; AutoGLM's own config.json could not be read; " in shape.source
    assert shape.confidence == "doc"
    assert catalogue.shape("Llama-3.1-8B").confidence == "memory"
