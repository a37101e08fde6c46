"""Each judge, with what it must refuse and what it must let pass."""

from __future__ import annotations

import math
from typing import Any

import pytest

from provisioner.target.runtime import judge

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("logprobs", "wrong"),
    [
        ([-1.0, -20.0, 0.0], None),
        ([-1.0, NAN, NAN], "its logits are no numbers (NaN or infinite) there, at token 2 and 1 more"),
        ([-INF, -1.0], "its logits are no numbers (NaN or infinite) there, at token 1 and 0 more"),
        ([INF], "its logits are no numbers (NaN or infinite) there, at token 1 and 0 more"),
    ],
)
def test_numbers(logprobs: list[float], wrong: str | None) -> None:
    assert judge.numbers(logprobs, "there") == wrong


@pytest.mark.parametrize(
    ("logprobs", "wanted"),
    [([0.0, 0.0], 1.0), ([-math.log(2)] * 3, 2.0), ([-1e6], INF)],
)
def test_perplexity(logprobs: list[float], wanted: float) -> None:
    assert judge.perplexity(logprobs) == pytest.approx(wanted)


def of(first: float, again: float) -> list[float]:
    """Thirty tokens read with one perplexity, ten repeated with another."""
    return [-math.log(first)] * 30 + [-math.log(again)] * 10


READINGS: list[tuple[list[float], bool, str | None]] = [
    (of(9.0, 9.0), False, None),
    (of(9.6, 9.6), False, "it reads the fixed passage with a perplexity of 9.6, 9.5 is the profile's bound"),
    (
        of(2000, 3),
        True,
        (
            "it reads the fixed passage with a perplexity of 394, 9.5 is the generous bound for models nobody"
            " has measured"
        ),
    ),
    (
        of(90000, 10),
        False,
        (
            "it reads the fixed passage with a perplexity of 9240, 9.5 is the profile's bound; what it cannot"
            " read (90000) it repeats well (10.0): most likely the tokenizer is another model's"
        ),
    ),
]


@pytest.mark.parametrize(("logprobs", "generous", "wrong"), READINGS)
def test_reading(logprobs: list[float], generous: bool, wrong: str | None) -> None:
    assert judge.reading(logprobs, 10, 9.5, generous) == wrong


CIRCLES: list[tuple[list[int], judge.Circle | None]] = [
    (list(range(50)), None),
    ([7] * 50, judge.Circle(1, 50.0, 1.0)),
    ([1, 2] * 25, judge.Circle(2, 25.0, 1.0)),
    ([9, *[1, 2, 3] * 16, 9], judge.Circle(3, 16.0, 0.96)),
    # A phrase said three times is a figure of speech, and half a text may be a list.
    ([1, 2, 3, 4, 5] * 3, None),
    ([*range(100, 130), *[5] * 20], None),
    ([], None),
    ([4], None),
]


@pytest.mark.parametrize(("pieces", "found"), CIRCLES)
def test_circle(pieces: list[int], found: judge.Circle | None) -> None:
    assert judge.circle(pieces) == found


@pytest.mark.parametrize(
    ("pieces", "wrong"),
    [
        (list(range(50)), None),
        ([1, 2], None),
        ([3] * 50, "says one token 50 times over, 100% of its text"),
        ([1, 2] * 25, "says the same 2 tokens 25 times over, 100% of its text"),
        ([1, 2, 2, 1, 1, 3, 3, 2, 1, 3], "gave 10 tokens of which 3 are different, 5 is the least"),
    ],
)
def test_repetitive(pieces: list[int], wrong: str | None) -> None:
    assert judge.repetitive(pieces, 5) == wrong


ANSWERS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"tokens": 7, "stopped": True}, None),
    ({"tokens": 2, "wanted": 2}, None),
    ({"tokens": 40}, "it gave 40 of 50 tokens and did not say why it stopped"),
    ({"tokens": 3, "stopped": True}, "it stopped after 3 tokens, 5 is the least"),
    ({"text": " \n "}, "it gave 50 tokens and no text"),
    ({"text": "\ufffd\ufffda"}, "its text is no text: '\ufffd\ufffda'"),
]


@pytest.mark.parametrize(("change", "wrong"), ANSWERS)
def test_answer(change: dict[str, Any], wrong: str | None) -> None:
    usual: dict[str, Any] = {"text": "a b", "tokens": 50, "wanted": 50, "least": 5, "stopped": False}
    assert judge.answer(**{**usual, **change}) == wrong


TOKENIZERS: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, "", None),
    ({}, "abc", None),
    ({"back": " a  b,"}, "", None),
    ({"rows": 11}, "", None),
    (
        {},
        "0123456789abcdef",
        "its tokenizer is not the one of this model: its fingerprint is abc…, the profile's is 0123456789ab…",
    ),
    ({"rows": 10}, "", "its tokenizer is another model's: it gives the token 10, the model has 10"),
    ({"back": "a c,"}, "", "its tokenizer does not give back the text it was given: 'b,' became 'c,'"),
]


@pytest.mark.parametrize(("change", "fingerprint", "wrong"), TOKENIZERS)
def test_tokenizer(change: dict[str, Any], fingerprint: str, wrong: str | None) -> None:
    seen = {"text": "a b,", "back": "a b,", "largest": 10, "size": 12, "rows": None, "fingerprint": "abc"}
    assert judge.tokenizer({**seen, **change}, fingerprint) == wrong


LOADED: list[tuple[list[str], list[str], list[str], str | None]] = [
    ([], [], [], None),
    ([], [], ["rotary.inv_freq"], None),
    (["b", "a"], [], [], "a and 1 more are missing in the weights and would be noise"),
    ([], ["w"], [], "w have another shape than the configuration says"),
    (
        [],
        [],
        ["model.layers.17.mlp.up"],
        "model.layers.17.mlp.up are in the weights and the configuration has no place for them",
    ),
]


@pytest.mark.parametrize(("missing", "mismatched", "unexpected", "wrong"), LOADED)
def test_loaded(missing: list[str], mismatched: list[str], unexpected: list[str], wrong: str | None) -> None:
    said = judge.loaded(missing, mismatched, unexpected)
    assert said == (wrong and f"its configuration does not fit its weights: {wrong}")
