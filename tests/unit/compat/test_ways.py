"""How a model is to be run: out of a profile, a wish, and the environments that there are."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.compat.described import described
from provisioner.compat.outline import Terms, of_profile
from provisioner.compat.ways import (
    Wish,
    environments,
    has_stack,
    profile_of_model,
    quantization_of,
    shape_of,
    way_of,
)
from provisioner.profiles import Requires
from provisioner.sizing import catalogue
from provisioner.sizing.model import Way

AUTOGLM = profiles.load("autoglm-phone-9b")
GEMMA = profiles.load("gemma3-270m")


@pytest.mark.parametrize(
    ("profile", "wish", "way"),
    [
        (AUTOGLM, Wish(), Way("transformers", "cuda", "none", "bfloat16")),
        (AUTOGLM, Wish(quantization="NF4"), Way("transformers", "cuda", "nf4", "bfloat16")),
        (AUTOGLM, Wish(runtime="sglang"), Way("vllm", "cuda", "none", "bfloat16")),
        (GEMMA, Wish(), Way("llama", "cpu", "Q4_K_M")),
        (GEMMA, Wish(quantization="none"), Way("llama", "cpu", "none")),
    ],
)
def test_a_profile_and_a_wish(profile: profiles.Profile, wish: Wish, way: Way) -> None:
    assert way_of(profile, wish) == way


@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("model-Q4_K_M", "", "Q4_K_M"),
        ("model-q4_k_s", "", "Q4_K_S"),
        ("model", "model-IQ4_XS.gguf", "IQ4_XS"),
        ("model", "Q8_0", "Q8_0"),
        ("model-of-q4_km", "", "none"),
        ("model", "", "none"),
    ],
)
def test_a_quantisation_in_a_name(name: str, file: str, kind: str) -> None:
    source = {"type": "hf", "file": file} if file else {"type": "hf"}
    assert quantization_of(replace(GEMMA, model=profiles.Model(name, source))) == kind


def test_an_environment_is_one_for_the_device_and_the_kind() -> None:
    assert has_stack(Way("transformers", "cuda", "nf4"))
    assert has_stack(Way("llama", "cpu", "Q4_K_M"))
    assert not has_stack(Way("llama", "cuda", "Q4_K_M"))
    assert not has_stack(Way("transformers", "cpu", "nf4"))


def test_environments_for_the_device_come_first_and_others_only_without_them() -> None:
    def locks(runtime: str, device: str) -> list[str]:
        return [one.environment.lock for one in environments(AUTOGLM, runtime, device)]

    assert locks("transformers", "cuda")[0] == "transformers-cuda"
    assert all("cuda" not in lock for lock in locks("transformers", "cpu"))
    # None of ours yet, so by the name of its wheels: a GPU wants a driver, which the CPU's do not.
    assert locks("llama", "cuda") == ["llama-cuda"]
    assert locks("vllm", "cpu") == locks("vllm", "cuda")


def test_a_model_without_a_profile_sets_no_minima_and_has_no_digests() -> None:
    shape = catalogue.shape("Qwen3-8B")
    profile = profile_of_model("Qwen3-8B", shape, AUTOGLM)
    assert (profile.requires, profile.model.files, profile.model.source) == (Requires(), (), {})
    assert profile.model.about_bytes == sum(item.nbytes for item in shape.weights)
    assert profile.smoke.perplexity is None


def test_a_shape_is_known_by_the_name_that_the_weights_began_with() -> None:
    tuned = replace(AUTOGLM, model=replace(AUTOGLM.model, name="Qwen3-8B-mine"))
    assert shape_of(tuned) == catalogue.shape("Qwen3-8B")
    assert shape_of(replace(AUTOGLM, model=replace(AUTOGLM.model, name="mine"))) is None


def test_the_memory_of_a_runtime_that_nobody_measured_is_said_to_be_anothers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = next(one for one in knowledge.stacks() if one.lock == "transformers-cuda")
    sglang = msgspec.structs.replace(stack, name="sglang", runtime="sglang", lock="sglang-cuda")
    monkeypatch.setattr(knowledge, "stacks", lambda: (stack, sglang))
    box = described(gpu="H100", os="ubuntu24.04", memory="256GB", cores=16, arch="x86_64")
    found = of_profile(box, AUTOGLM, Wish(runtime="sglang"), Terms())
    assert "the memory of sglang is counted as that of vllm: nobody has measured it" in found.notes
    assert found.ask.profile.environment.lock == "sglang-cuda"
