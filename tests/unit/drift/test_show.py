from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.drift.show import shown, shown_digest, thing


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("x", "text", "text"),
        ("x", "", '""'),
        ("x", None, "null"),
        ("x", True, "true"),
        ("x", ["a", 1], '["a", 1]'),
        ("x", {"b": ("c",)}, '{"b": ["c"]}'),
        ("x", "long " * 20, "long " * 11 + "long…"),
        ("x", "two\nlines\x1b[31m", "two lines [31m"),
        ("model_weights_hub_token", "hf_abc", "(not shown)"),
        ("model_weights_hub_token", "", '""'),
        ("smoke_test_tokens", 50, "50"),
        ("tokenizer", "bpe", "bpe"),
        (
            "network",
            {"proxy": "x", "api_key": "k", "list": [{"password": "p"}]},
            '{"proxy": "x", "api_key": "(not shown)", "list": [{"passwor…',
        ),
        ("proxy", "http://ann:pass@proxy:3128/", "http://***@proxy:3128/"),
        ("mirrors", ["https://u:p@one", "https://two"], '["https://***@one", "https://two"]'),
    ],
)
def test_values_are_shown_short_and_without_secrets(key: str, value: Any, text: str) -> None:
    assert shown(key, value) == text


@given(st.text(), st.text())
def test_any_value_is_one_short_line(key: str, value: str) -> None:
    text = shown(key, value)
    assert 0 < len(text) <= 60
    assert text.isprintable()


@pytest.mark.parametrize(("digest", "text"), [("0123456789abcdef", "0123456789ab"), ("", '""')])
def test_digests(digest: str, text: str) -> None:
    assert shown_digest(digest) == text


@pytest.mark.parametrize(
    ("resource", "called"),
    [
        ({"kind": "file", "path": "/etc/x"}, "/etc/x"),
        ({"kind": "package", "name": "bash"}, "bash"),
        ({"kind": "kernel"}, "kernel"),
        ({"kind": "hold", "name": "nvidia-driver"}, "the hold of nvidia-driver"),
        ({"kind": "alternative", "name": "cuda"}, "the alternative cuda"),
        ({"kind": "unit", "name": "a.service"}, "a.service"),
        (
            {"kind": "parameter", "module": "nvidia_drm", "name": "modeset", "wanted": 1},
            "nvidia_drm.modeset=1",
        ),
        ({"kind": "boot_option", "option": "iommu=pt"}, "boot option iommu=pt"),
        ({"kind": "module", "name": "kvm"}, "kernel module kvm"),
        ({}, ""),
    ],
)
def test_a_resource_has_a_name_in_sentences(resource: dict[str, Any], called: str) -> None:
    assert thing(resource) == called
