"""Secrets by shape and by name, in values and on command lines."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.secrecy import masked, masked_arguments


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://me:pw@proxy:3128/x", "http://***@proxy:3128/x"),
        ("http://proxy:3128", "http://proxy:3128"),
        (["https://a:b@c", 5], ["https://***@c", 5]),
        (
            {"hub_token": "hf_x", "smoke_test_tokens": 50},
            {"hub_token": "(not shown)", "smoke_test_tokens": 50},
        ),
        ({"a": {"password": ["x"]}}, {"a": {"password": "(not shown)"}}),
        ({"password": ""}, {"password": ""}),
        (None, None),
    ],
)
def test_a_value_is_masked(value: Any, shown: Any) -> None:
    assert masked(value) == shown


def test_a_command_line_is_masked() -> None:
    argv = [
        "up", "--host", "me@box", "--set", "host_base_https_proxy=http://me:pw@proxy:3128",
        "--set=hub_token=hf_x", "--set", "hub_token=hf_x", "--set", "smoke_test_tokens=50",
    ]  # fmt: skip
    assert masked_arguments(argv) == [
        "up", "--host", "me@box", "--set", "host_base_https_proxy=http://***@proxy:3128",
        "--set=hub_token=(not shown)", "--set", "hub_token=(not shown)", "--set", "smoke_test_tokens=50",
    ]  # fmt: skip
