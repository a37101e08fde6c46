"""What llama.cpp's server says is read; the server itself is in test_faults_real.py."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.backends import llama
from provisioner.target.runtime.backends.common import Judged

DATA = Path(__file__).parents[4] / "data/formats"


def chunk(text: str, *tokens: tuple[int, float | None], finish: str | None = None) -> dict[str, Any]:
    content = [{"id": token, "logprob": value} for token, value in tokens]
    return {"choices": [{"text": text, "finish_reason": finish, "logprobs": {"content": content}}]}


def test_a_stream_is_read() -> None:
    chunks = [
        chunk("a", (5, -0.5)),
        chunk(" b", (6, -1.0), (7, None)),
        {"choices": []},
        chunk("", finish="length"),
    ]
    # Tokens that make part of a character are counted, and their ids not shown.
    chunks[-1]["usage"] = {"completion_tokens": 5}
    got = llama.read_stream(chunks, [11.0, 12.0, 13.0, 14.0], 10.5)
    assert (got.text, got.tokens, got.ids, got.stopped) == ("a b", 5, [5, 6, 7], False)
    assert (got.first_token_seconds, got.rest_seconds) == (0.5, 1.0)
    assert got.logprobs[:2] == [-0.5, -1.0]
    assert math.isnan(got.logprobs[2]), "the server writes null for what is no number"


def test_a_prompt_that_is_refused() -> None:
    with pytest.raises(TargetError, match="exceeds the context"):
        llama.read_stream([{"error": {"message": "the prompt exceeds the context"}}], [1.0], 0.5)


def test_a_file_that_ends_early_is_named_before_it_is_loaded(tmp_path: Path) -> None:
    content = (DATA / "little.gguf").read_bytes()
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert "general.architecture" in llama._header(str(path))
    path.write_bytes(content[:-100])
    with pytest.raises(Judged, match=r"^m\.gguf ends .* before its last tensor does"):
        llama._header(str(path))
    path.write_bytes(content[:50])
    with pytest.raises(Judged, match=r"^m\.gguf is no model"):
        llama._header(str(path))


WORDS = [
    (
        "0.3 E x: error loading model: wrong number of tensors; expected 236\n0.4 E srv: exiting",
        "llama.cpp cannot load m.gguf: wrong number of tensors; expected 236",
    ),
    ("Failed to init server", "llama.cpp cannot load m.gguf: Failed to init server"),
    ("E x: unable to allocate CPU buffer", "llama.cpp cannot load m.gguf: MemoryError: the memory"),
]


@pytest.mark.parametrize(("words", "message"), WORDS)
def test_why_it_cannot_load_is_in_its_log(words: str, message: str) -> None:
    assert llama._cannot_load("/x/m.gguf", words).message == message


def test_it_quantises_nothing(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="not quantised to nf4"):
        llama.load({"model": str(tmp_path), "quantization": "nf4"}, None)
