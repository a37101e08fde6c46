"""The box's answers become values, or one line a person can act on."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from provisioner.ansible.target import masked, plain, sentence, value_of
from provisioner.errors import ProvisionError


def outcome(answer: dict[str, Any] | bytes, **more: Any) -> dict[str, Any]:
    """What the module returns for an answer."""
    if isinstance(answer, dict):
        text = json.dumps(answer).encode()
        answer = b"a talkative shell\nPROVISION1 %d\n%s" % (len(text), text)
    return {"answer": base64.b64encode(answer).decode(), "rc": 0, "stderr": "", **more}


def test_a_value_comes_through() -> None:
    assert value_of(outcome({"ok": True, "value": {"changed": False}})) == {"changed": False}


def test_a_refusal_keeps_its_hint() -> None:
    refusal = {"ok": False, "kind": "TargetError", "error": "disk full", "hint": "free some"}
    with pytest.raises(ProvisionError) as caught:
        value_of(outcome(refusal))
    assert (caught.value.message, caught.value.hint) == ("disk full", "free some")


def test_a_crash_brings_its_traceback() -> None:
    crash = {"ok": False, "kind": "crash", "error": "KeyError: 'a'", "hint": None, "traceback": "line 3"}
    with pytest.raises(ProvisionError) as caught:
        value_of(outcome(crash))
    assert caught.value.message == "KeyError: 'a'\nline 3"


def test_no_answer_tells_what_python_said() -> None:
    with pytest.raises(ProvisionError) as caught:
        value_of(outcome(b"", stderr="SyntaxError: invalid syntax"))
    assert caught.value.message.splitlines() == ["there was no answer", "SyntaxError: invalid syntax"]


@pytest.mark.parametrize("kind", ["TargetError", "crash"])
def test_secrets_stay_out_of_errors(kind: str) -> None:
    said = {"ok": False, "kind": kind, "error": "401 for hf_abc123", "hint": "is hf_abc123 right?"}
    with pytest.raises(ProvisionError) as caught:
        value_of(outcome(said), ("hf_abc123",))
    assert "hf_abc123" not in f"{caught.value.message}{caught.value.hint}"


def test_secrets_stay_out_of_values() -> None:
    value = value_of(outcome({"ok": True, "value": {"result": ["hf_abc123"]}}), ("hf_abc123",))
    assert "hf_abc123" not in json.dumps(value)


def test_without_secrets_nothing_is_masked() -> None:
    assert masked("text", ()) == "text"


@pytest.mark.parametrize(("hint", "text"), [("do b", "a — do b"), (None, "a"), ("", "a")])
def test_a_sentence(hint: str | None, text: str) -> None:
    assert sentence("a", hint) == text


def test_plain_values_are_plain() -> None:
    class Tagged(str):
        """As Ansible's own strings are."""

        __slots__ = ()

    value = plain({"a": [Tagged("x"), 1, None], "b": {"c": Tagged("y")}})
    assert value == {"a": ["x", 1, None], "b": {"c": "y"}}
    assert type(value["a"][0]) is str
