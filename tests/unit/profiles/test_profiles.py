"""Profiles: what ships decodes, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner import profiles
from provisioner.errors import UsageError


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_that_ships_is_whole(name: str) -> None:
    profile = profiles.load(name)
    assert profile.name == name
    assert profile.facts, "a profile says where its facts come from"
    assert "--hash=sha256:" in profiles.lock_text(profile.environment.lock)


def test_the_five_profiles() -> None:
    assert profiles.names() == [
        "autoglm-phone-9b",
        "autoglm-phone-9b-multilingual",
        "autoglm-phone-9b-nf4",
        "gemma3-270m",
        "gemma3-270m-transformers",
    ]


def test_extending_changes_only_what_is_said() -> None:
    base, other = profiles.load("gemma3-270m"), profiles.load("gemma3-270m-transformers")
    assert other.model == base.model
    assert (base.runtime, other.runtime) == ("llama", "transformers")


FIELDS = "known: name, summary, license, runtime, environment, model, requires, smoke, facts"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("extends: gemma3-27m\n", "unknown profile gemma3-27m", "did you mean gemma3-270m?"),
        (
            "extends: gemma3-270m\nsumary: x\n",
            "profile {path}: unknown field sumary",
            "did you mean summary?",
        ),
        ("- a\n", "profile {path}: not a mapping of names to values", None),
        ("a: [\n", "profile {path}: not YAML: while parsing a flow node", None),
        (
            "extends: gemma3-270m\nruntime: cuda\n",
            "profile {path}: runtime: invalid enum value 'cuda'",
            "correct runtime in the profile, or in --set runtime=value",
        ),
        ("extends: gemma3-270m\n1: x\n", "profile {path}: unknown field 1", FIELDS),
        (
            "extends: gemma3-270m\nmodel: {name: ../../etc}\n",
            "profile {path}: model.name: '../../etc' names no folder",
            "a model is kept under its name: it needs one that does not start with a dot",
        ),
        ("extends: {path}\n", "profile {path} extends itself through {path}", None),
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, text: str, message: str, hint: str | None) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(text.replace("{path}", str(path)))
    with pytest.raises(UsageError) as caught:
        profiles.load(str(path))
    assert (caught.value.message, caught.value.hint) == (message.replace("{path}", str(path)), hint)


@pytest.mark.parametrize("spec", ["path:/", "path:/models/..", "path:/models/.gguf", "hf:org/.."])
def test_a_model_without_a_name_is_refused(spec: str) -> None:
    """Its folder would be that of all models."""
    with pytest.raises(UsageError, match="names no folder or file"):
        profiles.with_model(profiles.load("gemma3-270m"), spec)


def test_a_profile_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_bytes(b"summary: caf\xe9\n")
    with pytest.raises(UsageError, match="not YAML: 'utf-8' codec can't decode"):
        profiles.load(str(path))


def test_an_override_below_what_is_no_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("extends: gemma3-270m\nsmoke: hello\n")
    with pytest.raises(UsageError, match=r"smoke\.tokens: smoke is no mapping in that profile"):
        profiles.load(str(path), {"smoke.tokens": 5})


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("smoke.tokens", "20", 20),
        ("smoke.prompt", "Say: yes", "Say: yes"),
        ("smoke.prompt", "1984", "1984"),
        ("requires.driver", "535.10", "535.10"),
        ("environment.python", "3.10", "3.10"),
        ("runtime", "llama", "llama"),
        ("smoke.tokens", "[", "["),
        ("smoke.tokens", "", ""),
    ],
)
def test_an_override_is_a_text_where_the_field_is_one(key: str, text: str, value: object) -> None:
    assert profiles.override(key, text) == value


def test_any_model_takes_the_place_of_the_profiles() -> None:
    base = profiles.load("autoglm-phone-9b")
    assert base.model.mirrors == (
        {"type": "modelscope", "repo": "ZhipuAI/AutoGLM-Phone-9B", "revision": "master"},
    )
    profile = profiles.with_model(base, "hf:org/name@abc")
    assert profile.model == profiles.Model("name", {"type": "hf", "repo": "org/name", "revision": "abc"})
    assert (profile.name, profile.facts, profile.environment) == ("name", (), base.environment)


def test_overrides_reach_the_field_and_typos_are_named() -> None:
    assert profiles.load("gemma3-270m", {"smoke.tokens": 9}).smoke.tokens == 9
    with pytest.raises(UsageError) as caught:
        profiles.load("gemma3-270m", {"smoke.token": 9})
    assert (caught.value.message, caught.value.hint) == (
        "unknown key smoke.token",
        "did you mean smoke.tokens?",
    )
