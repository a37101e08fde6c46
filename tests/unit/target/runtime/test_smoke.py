from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import smoke
from provisioner.target.runtime.backends import llama
from provisioner.target.runtime.smoke import Generated

from .conftest import FakeContext


def generated(**more: Any) -> Generated:
    pieces = [f"w{i % 7} " for i in range(50)]
    fields: dict[str, Any] = {
        "text": "".join(pieces), "tokens": 50, "pieces": pieces, "stopped": False, "load_seconds": 1.0,
        "first_token_seconds": 0.2, "rest_seconds": 0.49, "device": "cpu", "versions": {"python": "3.11"},
    }  # fmt: skip
    return Generated(**{**fields, **more})


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    return {"runtime": "llama", "model": str(tmp_path), "prompt": "hi", "tokens": 50, "min_distinct": 5}


def test_what_is_measured_comes_back(
    spec: dict[str, Any], context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "generate", lambda spec, context: generated())
    result = smoke.apply(spec, context)
    assert result.pop("peak_rss_bytes") > 1 << 20
    assert result == {
        "text": generated().text, "tokens": 50, "tokens_per_second": 100.0, "load_seconds": 1.0,
        "first_token_seconds": 0.2, "device": "cpu", "versions": {"python": "3.11"},
    }  # fmt: skip


BAD: list[tuple[dict[str, Any], str]] = [
    ({"tokens": 40}, "it gave 40 of 50 tokens and did not say why it stopped"),
    ({"tokens": 3, "stopped": True}, "it stopped after 3 tokens, 5 is the least"),
    ({"tokens": 0, "pieces": [], "text": "", "stopped": True}, "it stopped after 0 tokens"),
    ({"text": " \n ", "pieces": list(range(50))}, "it gave 50 tokens and no text"),
    ({"text": "\ufffd\ufffda", "pieces": list(range(50))}, "its text is no text"),
    ({"text": "the the the", "pieces": ["the"] * 50}, "its 50 tokens are 1 different ones, 5 is the least"),
    ({"text": "!!!!", "pieces": ["!", "?"] * 25}, "its 50 tokens are 2 different ones"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_is_no_answer_fails(spec: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError) as caught:
        smoke.judge(spec, generated(**change))
    assert message in caught.value.message
    assert "smoke.dtype" in (caught.value.hint or "")


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({}, {"tokens": 7, "pieces": list(range(7)), "stopped": True}),
    ({"tokens": 2}, {"tokens": 2, "pieces": ["a", "b"]}),
]


@pytest.mark.parametrize(("asked", "change"), GOOD)
def test_what_is_an_answer_passes(
    spec: dict[str, Any], asked: dict[str, Any], change: dict[str, Any]
) -> None:
    smoke.judge({**spec, **asked}, generated(**change))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"runtime": "vllm"}, "no such runtime: vllm"),
    ({"model": "/nowhere"}, "/nowhere: no weights there"),
    ({}, "this environment has no xllamacpp"),
    ({"runtime": "transformers"}, "this environment has no (torch|transformers)"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_cannot_start_says_why(
    spec: dict[str, Any],
    context: FakeContext,
    change: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A bare machine has no OpenMP library either; test_openmp.py is about that.
    monkeypatch.setattr("provisioner.target.runtime.backends.openmp.make_sure", lambda: None)
    with pytest.raises(TargetError, match=message):
        smoke.apply({**spec, **change}, context)


LAYOUTS: list[tuple[list[str], str | None]] = [
    (["a.gguf"], "a.gguf"),
    (["a.gguf", "mmproj-a.gguf"], "a.gguf"),
    (["a-00002-of-00002.gguf", "a-00001-of-00002.gguf"], "a-00001-of-00002.gguf"),
    (["model.safetensors"], None),
]


@pytest.mark.parametrize(("names", "wanted"), LAYOUTS)
def test_the_gguf_of_a_model(tmp_path: Path, names: list[str], wanted: str | None) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert smoke.gguf_in(str(tmp_path)) == (str(tmp_path / wanted) if wanted else None)


def test_several_models_are_a_question(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(TargetError, match=r"several models in it \(a\.gguf, b\.gguf\)"):
        smoke.gguf_in(str(tmp_path))


# affinity, siblings of each, quota, wanted
CORES = [
    ({0, 1, 2, 3}, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, "max 100000", 2),
    ({0, 1, 2, 3}, {}, None, 4),
    ({0, 1, 2, 3}, {}, "150000 100000", 2),
    ({0, 1, 2, 3}, {}, "5000 100000", 1),
    ({3}, {3: "1,3"}, "max 100000", 1),
]


@pytest.mark.parametrize(("affinity", "siblings", "quota", "wanted"), CORES)
def test_cores_that_may_be_used(
    affinity: set[int],
    siblings: dict[int, str],
    quota: str | None,
    wanted: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(path: str) -> str | None:
        if path.endswith("cpu.max"):
            return quota
        return siblings.get(int(path.split("/cpu/cpu")[1].split("/")[0]))

    monkeypatch.setattr("os.sched_getaffinity", lambda pid: affinity)
    monkeypatch.setattr(smoke, "_read", read)
    assert smoke.usable_cores() == wanted


def chunk(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": finish}], **more}


def test_a_stream_of_llama_cpp_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1")
    chunks = [chunk("a"), chunk(" b"), chunk(" c"), chunk("", "length", usage={"completion_tokens": 4})]
    got = llama._read(chunks, [11.0, 12.0, 13.0, 14.0], 10.5, 2.0, "cpu")
    assert (got.text, got.tokens, got.stopped) == ("a b c", 4, False)
    assert (got.first_token_seconds, got.rest_seconds) == (0.5, 2.0)


def test_a_prompt_that_llama_cpp_refuses() -> None:
    with pytest.raises(TargetError, match="exceeds the context"):
        llama._read([{"error": {"message": "the prompt exceeds the context"}}], [1.0], 0.5, 2.0, "cpu")
