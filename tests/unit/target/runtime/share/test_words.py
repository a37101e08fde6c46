from __future__ import annotations

import pytest

from provisioner.target.runtime.share import words

NONCE = "a" * 32


def test_what_travels_tells_nothing_of_the_key_and_differs_by_purpose() -> None:
    made = [words.reader("key"), words.proof("key", NONCE, b""), words.proof("key", NONCE, b"{}")]
    assert len(set(made)) == 3
    assert not any("key" in one for one in made)


@pytest.mark.parametrize(
    ("key", "nonce", "body"), [("other", NONCE, b"{}"), ("key", "b" * 32, b"{}"), ("key", NONCE, b"{ }")]
)
def test_a_proof_is_of_one_key_one_question_and_one_answer(key: str, nonce: str, body: bytes) -> None:
    assert not words.same(words.proof(key, nonce, body), words.proof("key", NONCE, b"{}"))
    assert words.same(words.proof("key", NONCE, b"{}"), words.proof("key", NONCE, b"{}"))


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer é"])
def test_no_token_is_no_token(given: str | None) -> None:
    assert not words.same(given, words.reader("key"))


@pytest.mark.parametrize(
    ("text", "good"),
    [(NONCE, True), ("a" * 64, True), ("a" * 31, False), ("a" * 65, False), ("g" * 32, False)],
)
def test_a_question_is_hexadecimal(text: str, good: bool) -> None:
    assert words.is_nonce(text) is good
