"""What must hold of every model, way, load and machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import UsageError
from provisioner.sizing import catalogue
from provisioner.sizing.budgets import budget, check, needs, verdict
from provisioner.sizing.data import quantizations
from provisioner.sizing.model import Load, Machine, Runtime, Shape, Way
from provisioner.sizing.plan import answer, fits, helped, largest_batch, largest_context
from provisioner.sizing.quantize import held
from provisioner.sizing.shapes import ShapeError, from_config, from_gguf
from provisioner.sizing.speed import tokens_per_second
from tests.unit.sizing.shaped import LLAMA
from tests.unit.sizing.test_gguf import KEYS, TENSORS

GB = 10**9


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Small and large models: dense, with windows, experts, MLA; and those of the catalogue."""
    if draw(st.integers(0, 3)) == 0:
        return catalogue.shape(draw(st.sampled_from(catalogue.known())))
    heads = draw(st.sampled_from((2, 8, 32)))
    config: dict[str, Any] = {
        "model_type": draw(st.sampled_from(("llama", "qwen2", "qwen3", "gemma3_text", "mistral"))),
        "hidden_size": heads * draw(st.sampled_from((32, 64, 128))),
        "head_dim": 64,
        "intermediate_size": draw(st.integers(1, 60)) * 256,
        "num_hidden_layers": draw(st.integers(1, 80)),
        "num_attention_heads": heads,
        "num_key_value_heads": draw(st.sampled_from((1, 2, heads))),
        "vocab_size": draw(st.integers(100, 300_000)),
        "max_position_embeddings": draw(st.integers(16, 200_000)),
        "tie_word_embeddings": draw(st.booleans()),
        "dtype": draw(st.sampled_from(("float32", "bfloat16", "float16"))),
    }
    kind = draw(st.sampled_from(("dense", "window", "experts", "mla")))
    if kind == "window":
        config |= {
            "sliding_window": draw(st.integers(1, 9000)),
            "sliding_window_pattern": draw(st.integers(1, 7)),
        }
    if kind == "experts":
        config |= {
            "num_experts": 8,
            "num_experts_per_tok": draw(st.integers(1, 8)),
            "moe_intermediate_size": 512,
        }
    if kind == "mla":
        config |= {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
    return from_config("drawn", config, None, "drawn")


@st.composite
def ways(draw: st.DrawFn) -> Way:
    name = draw(st.sampled_from(sorted(quantizations())))
    entry = quantizations()[name]
    runtime = cast("Runtime", draw(st.sampled_from(entry.runtimes)))
    devices = ("cuda",) if runtime == "vllm" else entry.devices
    device: Any = draw(st.sampled_from(devices))
    layers = draw(st.none() | st.integers(0, 90)) if device == "cuda" and runtime != "vllm" else None
    gpus = draw(st.sampled_from((1, 2, 8))) if device == "cuda" else 1
    dtype = draw(st.sampled_from(("auto", "float32", "bfloat16")))
    return Way(runtime, device, name, dtype=dtype, gpu_layers=layers, gpus=gpus)


LOADS = st.builds(Load, st.integers(1, 200_000), st.integers(1, 64), st.integers(0, 5))
MACHINES = st.builds(
    Machine,
    ram_bytes=st.integers(1, 600).map(lambda size: size * GB),
    vram_bytes=st.integers(0, 200).map(lambda size: size * GB),
    gpus=st.sampled_from((0, 1, 2, 8)),
    ram_bandwidth=st.just(60 * GB),
    vram_bandwidth=st.just(1000 * GB),
    link_bandwidth=st.just(25 * GB),
)


def possible(shape: Shape, way: Way) -> bool:
    try:
        check(shape, way, Load(1))
    except UsageError:
        return False
    return True


@given(shapes(), ways(), LOADS, MACHINES, st.integers(0, 100), st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_more_memory_never_turns_what_fits_into_what_does_not(
    shape: Shape, way: Way, load: Load, machine: Machine, vram: int, ram: int
) -> None:
    if not possible(shape, way):
        return
    larger = replace(
        machine,
        vram_bytes=(machine.vram_bytes or 0) + vram * GB,
        ram_bytes=(machine.ram_bytes or 0) + ram * GB,
    )
    if fits(shape, way, load, machine):
        assert fits(shape, way, load, larger)
    assert largest_context(shape, way, machine) <= largest_context(shape, way, larger)


@given(shapes(), ways(), LOADS, st.integers(0, 5000), st.integers(0, 8), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_a_budget_grows_with_what_is_asked(
    shape: Shape, way: Way, load: Load, context: int, batch: int, images: int
) -> None:
    if not possible(shape, way):
        return
    more = Load(load.context + context, load.batch + batch, load.images + images)
    before, after = needs(shape, way, load), needs(shape, way, more)
    assert before[0] <= after[0]
    assert before[1] <= after[1]


@given(shapes(), st.sampled_from(sorted(quantizations())), st.sampled_from(("auto", "bfloat16", "float32")))
@settings(max_examples=150, deadline=None)
def test_quantised_weights_are_never_larger(shape: Shape, name: str, dtype: str) -> None:
    for runtime in quantizations()[name].runtimes:
        few, many = (held(shape, cast("Runtime", runtime), kind, dtype) for kind in (name, "none"))
        assert few.nbytes <= many.nbytes
        assert all(ours[1] <= theirs[1] for ours, theirs in zip(few.groups, many.groups, strict=True))


@given(shapes(), ways(), MACHINES, st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_the_largest_is_the_largest(shape: Shape, way: Way, machine: Machine, batch: int) -> None:
    if not possible(shape, way):
        return
    context = largest_context(shape, way, machine, batch)
    assert 0 <= context <= shape.context
    assert context == 0 or fits(shape, way, Load(context, batch), machine)
    assert context == shape.context or not fits(shape, way, Load(context + 1, batch), machine)
    most = largest_batch(shape, way, machine, 2048)
    assert most == 0 or fits(shape, way, Load(2048, most), machine)
    assert most == 4096 or not fits(shape, way, Load(2048, most + 1), machine)


@given(shapes(), LOADS, MACHINES)
@settings(max_examples=60, deadline=None)
def test_an_answer_agrees_with_itself(shape: Shape, load: Load, machine: Machine) -> None:
    found = answer(shape, machine, load)
    fitting = [variant for variant in found.variants if variant.verdict.fits]
    assert (found.best is None) == (not fitting)
    for variant in found.variants:
        assert verdict(budget(shape, variant.way, load, machine), machine) == variant.verdict
        if load.context <= shape.context:
            assert bool(variant.verdict.fits) == (variant.largest_context >= load.context)
        rate = variant.tokens_per_second
        assert rate == tokens_per_second(shape, variant.way, load, machine)
        assert rate is None or rate > 0
    if found.best:
        rank = quantizations()[found.best.way.quantization].rank
        alone = [variant for variant in fitting if not helped(shape, variant.way)]
        assert all(rank <= quantizations()[variant.way.quantization].rank for variant in alone)
        assert not alone or not helped(shape, found.best.way)
    sizes = [vram for vram, _ in found.gigabytes]
    assert sizes == sorted(sizes)
    assert all(vram > (machine.vram_bytes or 0) for vram in sizes)


JUNK = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=8)
    | st.lists(st.integers(), max_size=3)
)  # fmt: skip
FIELDS = (
    *LLAMA, "head_dim", "num_experts", "sliding_window", "layer_types", "kv_lora_rank", "vision_config",
    "text_config", "quantization_config", "torch_dtype",
)  # fmt: skip
HEADER = (
    *KEYS, "llama.attention.key_length", "llama.expert_count", "llama.attention.sliding_window",
    "llama.attention.sliding_window_pattern",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), JUNK))
@settings(max_examples=300, deadline=None)
def test_no_config_breaks_the_reader(changes: dict[str, Any]) -> None:
    said = None
    try:
        shape = from_config("junk", {**LLAMA, **changes}, None, "drawn")
        assert shape.parameters > 0
    except ShapeError as error:
        said = (error.message[:6], bool(error.hint))
    assert said in (None, ("junk: ", True))


@given(st.dictionaries(st.sampled_from(HEADER), JUNK))
@settings(max_examples=300, deadline=None)
def test_no_header_breaks_the_reader(changes: dict[str, Any]) -> None:
    said = None
    try:
        shape = from_gguf("junk", {**KEYS, **changes}, TENSORS, "drawn")
        assert shape.layers > 0
    except ShapeError as error:
        said = (error.message[:6], bool(error.hint))
    assert said in (None, ("junk: ", True))
