"""The job as a whole, over a backend that is emulated; the real ones are in test_faults_real.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import windows
from provisioner.target.runtime import judge, passage, smoke
from provisioner.target.runtime.backends import llama
from provisioner.target.runtime.backends.common import Backend, Generated, Running

from .conftest import FakeContext

CIRCLING = [1, 2, 3, 4, 5] * 10


class EmulatedBackend(Backend):
    """A healthy model whose tokens are characters, unless told otherwise."""

    running = Running("cpu", "float32", "none", 1.0, {"python": "3.11"})

    def __init__(self) -> None:
        self.greedy, self.sampled = list(range(50)), list(range(50))
        self.by_seed: dict[int, list[int]] = {}
        self.logprob, self.generated = -1.0, -1.0
        self.text, self.stopped = "a text", False
        self.shift, self.embedding = 0, 1 << 21
        self.fails: BaseException | None = None
        self.closed = False

    def encode(self, text: str, special: bool) -> list[int]:
        return [ord(char) for char in ("^" if special else "") + text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(token + self.shift) for token in ids)

    def vocabulary(self) -> int:
        return 1 << 21

    def rows(self) -> int | None:
        return self.embedding

    def score(self, ids: Sequence[int]) -> list[float]:
        if self.fails:
            raise self.fails
        return [self.logprob] * (len(ids) - 1)

    def generate(self, prompt: str, tokens: int, seed: int | None = None) -> Generated:
        ids = self.greedy if seed is None else self.by_seed.get(seed, self.sampled)
        return Generated(self.text, len(ids), ids, [self.generated] * len(ids), self.stopped, 0.2, 0.49)

    def peak_vram_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    return {"runtime": "llama", "model": str(folder), "prompt": "hi", "tokens": 50, "min_distinct": 5}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> EmulatedBackend:
    made = EmulatedBackend()
    monkeypatch.setattr(llama, "load", lambda spec, context: made)
    return made


def test_what_is_measured_comes_back(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend
) -> None:
    result = smoke.apply(spec, context)
    assert result.pop("peak_rss_bytes") > 1 << 20
    assert len(result.pop("tokenizer")) == 64
    assert result == {
        "text": "a text", "tokens": 50, "tokens_per_second": 100.0, "load_seconds": 1.0,
        "first_token_seconds": 0.2, "perplexity": 2.718, "max_perplexity": 100.0, "bound_is_generous": True,
        "passage": passage.PASSAGE_ID, "circled": False, "peak_vram_bytes": None, "device": "cpu",
        "dtype": "float32", "quantization": "none", "versions": {"python": "3.11"},
    }  # fmt: skip
    assert backend.closed


def test_what_windows_lends_is_loaded_before_the_runtime_emulated(
    spec: dict[str, Any], context: FakeContext, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    order: list[str] = []

    def lends(_: Any) -> list[str]:
        order.append("libraries")
        return ["libcuda.so.1: invalid ELF header"]

    def load(spec: Any, context: Any) -> EmulatedBackend:
        order.append("runtime")
        return EmulatedBackend()

    monkeypatch.setattr(windows, "preload", lends)
    monkeypatch.setattr(llama, "load", load)
    smoke.apply(spec, context)
    assert order == ["libraries", "runtime"]
    said = "!! a library that Windows lends does not load: libcuda.so.1: invalid ELF header\n"
    assert said in capsys.readouterr().out


def test_a_greedy_circle_that_chance_leads_out_of_passes(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend
) -> None:
    backend.greedy = CIRCLING
    assert smoke.apply(spec, context)["circled"] is True
    assert "asking again, with chance" in context.phases


def test_one_unlucky_chance_is_not_yet_a_no(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend
) -> None:
    backend.greedy, backend.by_seed = CIRCLING, {1: [7] * 50}
    assert smoke.apply(spec, context)["circled"] is True


BROKEN: list[tuple[dict[str, Any], str]] = [
    (
        {"greedy": CIRCLING, "sampled": [7] * 50},
        "says the same 5 tokens 10 times .* with chance it says one token",
    ),
    ({"logprob": math.nan}, "logits are no numbers .* while it reads the fixed passage"),
    ({"generated": math.inf}, "logits are no numbers .* while it generates"),
    ({"logprob": -5.0}, "a perplexity of 148, 100 is the generous bound for models nobody has measured"),
    ({"shift": 1}, "does not give back the text it was given"),
    ({"embedding": 100}, "gives the token .*, the model has 100"),
    ({"text": " "}, "it gave 50 tokens and no text"),
    ({"greedy": [1, 2, 3], "stopped": True}, "it stopped after 3 tokens"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_what_is_broken_is_refused(
    spec: dict[str, Any],
    context: FakeContext,
    backend: EmulatedBackend,
    change: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in change.items():
        setattr(backend, name, value)
    monkeypatch.setattr(smoke, "differences", lambda model: [])
    with pytest.raises(TargetError, match=f"^tiny does not answer as a model does: .*{message}") as caught:
        smoke.apply(spec, context)
    assert "smoke.dtype" in (caught.value.hint or "")
    assert backend.closed


def test_what_is_wrong_is_named(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.logprob = -9.0
    monkeypatch.setattr(smoke, "differences", lambda model: ["a is all zeros", "b", "c", "d"])
    with pytest.raises(TargetError, match=r"what is wrong with it: a is all zeros; b; c, and 1 more$"):
        smoke.apply(spec, context)


def test_the_profile_s_bounds_are_held(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend
) -> None:
    tight = {**spec, "max_perplexity": 2.5, "passage": passage.PASSAGE_ID}
    with pytest.raises(TargetError, match=r"a perplexity of 2\.7, 2\.5 is the profile's bound"):
        smoke.apply(tight, context)
    other = smoke.apply({**tight, "passage": "anothertext0"}, context)
    assert (other["max_perplexity"], other["bound_is_generous"]) == (judge.GENEROUS_BOUND, True)
    with pytest.raises(TargetError, match="its tokenizer is not the one of this model"):
        smoke.apply({**spec, "tokenizer": "0" * 64}, context)


FAILURES: list[tuple[BaseException, str]] = [
    (MemoryError(), "^the memory does not suffice to run tiny$"),
    (
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        "^the GPU's memory does not suffice to run tiny$",
    ),
    (OSError(12, "Cannot allocate memory"), "^the memory does not suffice to run tiny$"),
]


@pytest.mark.parametrize(("error", "message"), FAILURES)
def test_memory_that_runs_out_is_answered_with_something_smaller(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend, error: BaseException, message: str
) -> None:
    backend.fails = error
    with pytest.raises(TargetError, match=message) as caught:
        smoke.apply({**spec, "smaller": "gemma3-270m"}, context)
    assert caught.value.hint == "take the next smaller: provision up --profile gemma3-270m"


def test_another_failure_keeps_its_trace(
    spec: dict[str, Any], context: FakeContext, backend: EmulatedBackend
) -> None:
    backend.fails = RuntimeError("shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="shapes"):
        smoke.apply(spec, context)


REFUSED: list[tuple[dict[str, Any], Callable[[Path], object], str]] = [
    ({"runtime": "vllm"}, Path.exists, "no such runtime: vllm"),
    ({"model": "/nowhere"}, Path.exists, "/nowhere: no weights there"),
    ({}, lambda folder: (folder / "m.gguf").touch(), "this environment has no xllamacpp"),
    ({"runtime": "transformers"}, Path.exists, "this environment has no (torch|transformers)"),
    ({"runtime": "transformers", "quantization": "int3"}, Path.exists, "no such quantization: int3"),
]


@pytest.mark.parametrize(("change", "prepare", "message"), REFUSED)
def test_what_cannot_start_says_why(
    spec: dict[str, Any],
    context: FakeContext,
    change: dict[str, Any],
    prepare: Callable[[Path], object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A bare machine has no OpenMP library either; test_openmp.py is about that.
    monkeypatch.setattr("provisioner.target.runtime.backends.openmp.make_sure", lambda: None)
    prepare(Path(spec["model"]))
    with pytest.raises(TargetError, match=message):
        smoke.apply({**spec, **change}, context)
