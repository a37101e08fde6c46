"""Decision and memory answer together: which way is planned, and what is said where one of them says no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.compat.decide import Decision
from provisioner.compat.described import described
from provisioner.compat.outline import Outline, Terms, of_model, of_profile
from provisioner.compat.ways import Wish, quantization, quantization_of, shape_of
from provisioner.errors import UsageError
from provisioner.sizing import catalogue
from provisioner.sizing.model import Load

BOX: dict[str, Any] = {
    "gpu": "RTX 4090", "os": "ubuntu24.04", "memory": "64GB", "cores": 8, "arch": "x86_64", "disk": "1TB",
    "driver": "none", "secure_boot": False,
}  # fmt: skip


def profile_on(name: str, wish: Wish | None = None, **box: Any) -> Outline:
    return of_profile(described(**BOX | box), profiles.load(name), wish or Wish(), Terms())


def model_on(name: str, wish: Wish | None = None, **box: Any) -> Outline:
    return of_model(described(**BOX | box), name, catalogue.shape(name), wish or Wish(), Terms())


def way(found: Outline) -> tuple[str, str, str]:
    assert found.answer is not None
    chosen = found.answer.chosen.way
    return chosen.runtime, chosen.device, chosen.quantization


def test_a_profile_is_run_as_it_says() -> None:
    found = profile_on("autoglm-phone-9b")
    assert way(found) == ("transformers", "cuda", "none")
    assert (found.possible, found.chains) == (True, ())
    assert found.ask.profile.environment.lock == "transformers-cuda"


def test_the_quantisation_of_a_profile_is_its_files() -> None:
    found = profile_on("gemma3-270m", gpu="none")
    assert way(found) == ("llama", "cpu", "Q4_K_M")
    assert quantization_of(profiles.load("autoglm-phone-9b-nf4")) == "nf4"


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_has_a_known_shape(name: str) -> None:
    assert shape_of(profiles.load(name)) is not None


def test_a_profile_of_unknown_weights_is_judged_by_its_minima_and_says_so() -> None:
    profile = profiles.load("autoglm-phone-9b")
    other = replace(profile, model=replace(profile.model, name="something-else"))
    found = of_profile(described(**BOX), other, Wish(), Terms())
    assert found.answer is None
    assert found.possible
    assert found.notes[0] == (
        "nothing is known of the tensors of something-else: only the minima of its profile were compared"
    )


def test_another_way_is_judged_by_its_bytes_not_by_the_minima_of_the_profile() -> None:
    box: dict[str, Any] = {"gpu": "RTX 4060 Ti 16GB", "memory": "16GB"}
    assert not profile_on("autoglm-phone-9b", **box).possible
    found = profile_on("autoglm-phone-9b", Wish(quantization="NF4"), **box)
    assert way(found) == ("transformers", "cuda", "nf4")
    assert found.possible


def test_a_model_without_a_profile_gets_the_best_way_there_is_an_environment_for() -> None:
    assert way(model_on("Qwen3-8B")) == ("transformers", "cuda", "none")
    assert way(model_on("Qwen3-8B", gpu="RTX 4060 Ti 16GB")) == ("transformers", "cuda", "int8")
    assert way(model_on("Qwen3-8B", Wish(quantization="nf4"))) == ("transformers", "cuda", "nf4")


def test_a_way_without_an_environment_is_named() -> None:
    found = model_on("Qwen3-8B", Wish(runtime="llama", quantization="q4_k_m"))
    assert way(found) == ("llama", "cuda", "Q4_K_M")
    said = "Q4_K_M through llama.cpp on GPUs: planned only, as no profile runs a model that way yet"
    assert said in found.notes
    assert isinstance(found.decided, Decision)
    environment, driver = found.decided.route("environment"), found.decided.route("driver")
    assert (environment.action, environment.text) == ("none", "llama-cuda: this tool has no lock for it yet")
    assert driver.action != "none"


def test_of_several_environments_the_first_that_the_box_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = knowledge.stacks()
    gpu = next(stack for stack in stacks if stack.lock == "transformers-cuda")
    wheel = knowledge.Wheel(
        package="torch", version="9", python=">=3.10", glibc="9.9", cuda="12.8", capabilities=("8.9",),
        source="this test", confidence="unconfirmed",
    )  # fmt: skip
    other = msgspec.structs.replace(gpu, name="impossible", lock="impossible", wheels=("torch==9",))
    known = {f"{one.package}=={one.version}": one for one in (wheel, *knowledge.wheels())}
    monkeypatch.setattr("provisioner.compat.rules.wheels._by_requirement", lambda: known)
    monkeypatch.setattr(knowledge, "stacks", lambda: (other, *stacks))
    assert model_on("Qwen3-8B").ask.profile.environment.lock == "transformers-cuda"
    monkeypatch.setattr(knowledge, "stacks", lambda: (other,))
    found = model_on("Qwen3-8B")
    assert (found.possible, found.ask.profile.environment.lock) == (False, "impossible")
    assert any("glibc 9.9" in fact.text for chain in found.chains for fact in chain)


@pytest.mark.parametrize(
    ("runtime", "gpu", "python"), [("transformers", "none", "3.11"), ("sglang", "H100", "3.12")]
)
def test_the_interpreter_is_one_that_the_lock_was_resolved_for(runtime: str, gpu: str, python: str) -> None:
    found = model_on("Qwen3-8B", Wish(runtime=runtime), os="debian13", gpu=gpu)
    assert isinstance(found.decided, Decision)
    route = found.decided.route("python")
    assert (route.action, route.version) == ("install", python)


def test_of_several_impossible_environments_the_nearest_says_why() -> None:
    box: dict[str, Any] = {"gpu": None, "driver": None, "secure_boot": None, "arch": None}
    wish = Wish(runtime="transformers")
    facts = described(**BOX | box | {"os": "macos"})
    found = of_model(facts, "7B", catalogue.shape("7B"), wish, Terms(cuda="12.4"))
    assert found.ask.profile.environment.lock == "transformers-macos"
    assert ["request.cuda" in [fact.id for fact in chain] for chain in found.chains] == [True]


def test_a_lock_that_is_not_there_is_named() -> None:
    profile = profiles.load("gemma3-270m", {"environment.lock": "lama"})
    with pytest.raises(UsageError) as caught:
        of_profile(described(**BOX), profile, Wish(), Terms())
    assert (caught.value.message, caught.value.hint) == (
        "lock lama: no such lock file", "did you mean llama?"
    )  # fmt: skip


UNLOCKED = [stack for stack in knowledge.stacks() if stack.lock is None and stack.wheels]


@pytest.mark.parametrize("stack", UNLOCKED, ids=lambda stack: stack.name)
def test_an_environment_without_a_lock_is_compared_too_and_called_so(
    stack: knowledge.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "stacks", lambda: (stack,))
    found = model_on("Qwen3-8B", Wish(runtime=stack.runtime), gpu="H100")
    assert isinstance(found.decided, Decision)
    assert found.decided.route("environment").text == (
        f"the environment {stack.name}, which has no lock yet, with {', '.join(stack.wheels)}"
    )
    assert not any("is not known here" in note for note in found.decided.notes)
    old = model_on("Qwen3-8B", Wish(runtime=stack.runtime), gpu="GTX 1080 Ti")
    assert not old.possible


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_a_runtime_that_needs_a_gpu_is_impossible_without_one(runtime: str) -> None:
    found = profile_on("autoglm-phone-9b", Wish(runtime=runtime), gpu="none")
    assert [[fact.id for fact in chain] for chain in found.chains] == [["gpu.none", "request.profile.gpu"]]


def test_a_runtime_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [stack for stack in knowledge.stacks() if stack.runtime == "llama"]
    monkeypatch.setattr(knowledge, "stacks", lambda: known)
    with pytest.raises(UsageError) as caught:
        model_on("Qwen3-8B", Wish(runtime="vllm"))
    assert (caught.value.message, caught.value.hint) == (
        "--runtime vllm: no wheels of it are known", "known: llama"
    )  # fmt: skip


def test_what_is_too_large_is_impossible_and_says_what_would_do() -> None:
    found = model_on("Llama-3.1-70B", Wish(runtime="transformers", quantization="none"))
    assert not found.possible
    assert any("VRAM" in fact.text for chain in found.chains for fact in chain)
    assert found.changes


def test_a_context_that_is_too_long_is_answered_with_one_that_fits() -> None:
    long = model_on("Qwen3-8B", Wish("transformers", "none", Load(40_960, 8)))
    assert not long.possible
    assert long.answer is not None
    shorter = long.answer.chosen.largest_context
    if shorter:
        fits = model_on("Qwen3-8B", Wish("transformers", "none", Load(shorter, 8)))
        assert fits.possible


def test_where_only_the_gpu_is_known_only_it_is_compared() -> None:
    found = model_on("Qwen3-8B", memory=None)
    assert found.answer is not None
    verdict = found.answer.chosen.verdict
    assert (verdict.fits, verdict.ram_room) == (True, None)
    assert verdict.because.endswith(" of VRAM left; the machine's own memory is not known")
    assert all(one.verdict.ram_room is None for one in found.answer.variants)
    small = model_on("Llama-3.1-70B", Wish("transformers", "none"), memory=None)
    assert not small.possible


def test_what_needs_the_machines_memory_is_not_said_to_fit_without_it() -> None:
    found = model_on("Qwen3-8B", Wish(load=Load(1_000_000)), memory=None)
    assert found.answer is not None
    assert (found.possible, found.answer.best) == (True, None)
    assert found.answer.chosen.verdict.fits is None
    assert found.answer.chosen.verdict.because == "the machine's memory is not known"


@pytest.mark.parametrize(
    ("gpu", "runtimes"),
    [
        ("K80", {"llama"}),
        ("P40", {"llama"}),
        ("T4", {"llama", "transformers", "vllm"}),
    ],
)
def test_no_runtime_is_offered_whose_wheels_have_no_code_for_the_gpu(gpu: str, runtimes: set[str]) -> None:
    found = model_on("Llama-3.1-8B", Wish("llama"), gpu=gpu)
    assert found.answer is not None
    assert {one.way.runtime for one in found.answer.variants} == runtimes


def test_several_gpus_that_suffice_need_no_help_of_the_cpu() -> None:
    found = model_on("Llama-3.1-70B", gpu="2x RTX 3090", memory="128GB")
    assert found.answer is not None
    fitting = [one for one in found.answer.variants if one.verdict.fits]
    names = [one.way.quantization for one in fitting if one.way.runtime == "llama" and one.way.gpus == 2]
    assert "Q4_K_M" in names
    assert len(names) == len(set(names))


def test_where_nothing_is_known_nothing_is_said_to_fit() -> None:
    found = model_on("Qwen3-8B", gpu=None, memory=None, driver=None)
    assert found.answer is not None
    assert found.answer.chosen.verdict.fits is None


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(quantization="Q4"), "--quantization Q4: no such one is known"),
        (
            Wish(runtime="transformers", quantization="Q4_K_M"),
            "--quantization Q4_K_M: Qwen3-8B is not run so by transformers here",
        ),
    ],
)
def test_a_wish_that_nothing_fulfils(wish: Wish, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        model_on("Qwen3-8B", wish)
    assert caught.value.message == message
    assert caught.value.hint


def test_a_quantisation_is_known_in_any_case() -> None:
    assert quantization("q4_k_m") == "Q4_K_M"


def test_it_takes_no_longer_than_a_moment() -> None:
    """The decision alone is held to 50 ms elsewhere; this is with all that is said of memory."""
    import time

    profile_on("autoglm-phone-9b")
    started = time.perf_counter()
    profile_on("autoglm-phone-9b")
    assert time.perf_counter() - started < 1.0


def test_wheels_without_code_for_a_gpu_are_answered_with_a_runtime_that_has_it() -> None:
    found = profile_on("autoglm-phone-9b", Wish(), gpu="Tesla P40")
    assert not found.possible
    (way,) = [text for text in found.changes if text.startswith("say --runtime ")]
    assert way.startswith("say --runtime llama")
    other = profile_on("autoglm-phone-9b", Wish(runtime="llama"), gpu="Tesla P40")
    assert other.possible == (other.answer is not None and other.answer.chosen.verdict.fits is True)
