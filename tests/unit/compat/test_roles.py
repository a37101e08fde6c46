"""What `--set` gives a role variable: the type that the role's own spec names, or the reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.compat import roles
from provisioner.errors import UsageError


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("smoke_test_tokens", "20", 20),
        ("smoke_test_prompt", "20", "20"),
        ("smoke_test_prompt", "yes: or [no", "yes: or [no"),
        ("smoke_test_model", "/srv/model", "/srv/model"),
        ("smoke_test_runtime", "transformers", "transformers"),
        ("host_base_find_links", "/a, /b", ["/a", "/b"]),
        ("host_base_find_links", "[/a]", ["/a"]),
        ("host_base_users", "[{name: bob}]", [{"name": "bob"}]),
        ("host_base_pypi_index", "", ""),
        ("model_weights_mirrors", "https://a, https://b", ["https://a", "https://b"]),
        ("model_weights_mirrors", "[{type: hf, repo: o/m}]", [{"type": "hf", "repo": "o/m"}]),
        ("model_weights_bandwidth", "20MB", "20MB"),
        ("model_weights_source", "{type: path, path: /x}", {"type": "path", "path": "/x"}),
    ],
)
def test_a_value_has_the_type_of_its_variable(variable: str, text: str, value: Any) -> None:
    assert roles.parse(variable, text) == value


@pytest.mark.parametrize(
    ("variable", "text", "message", "hint"),
    [
        (
            "smoke_test_tokens",
            "many",
            "--set smoke_test_tokens=many: not a whole number",
            "smoke_test_tokens is: Tokens it shall generate; its default is 50",
        ),
        (
            "smoke_test_tokens",
            "true",
            "--set smoke_test_tokens=true: not a whole number",
            "smoke_test_tokens is: Tokens it shall generate; its default is 50",
        ),
        (
            "smoke_test_tokens",
            "[1",
            "--set smoke_test_tokens=[1: not a whole number",
            "smoke_test_tokens is: Tokens it shall generate; its default is 50",
        ),
        (
            "model_weights_bandwidth",
            "fast",
            "model_weights_bandwidth: 'fast' is no number of bytes a second",
            'write it like "20MB", "500kB" or "1GiB"; a line of 160 Mbit/s carries 20MB',
        ),
        (
            "smoke_test_runtime",
            "lama",
            "--set smoke_test_runtime=lama: no such choice",
            "one of llama, transformers",
        ),
        (
            "host_base_state_dir",
            "/data",
            "--set host_base_state_dir: the plan decides this one",
            "where things are follows from --scope",
        ),
        (
            "python_env_lock",
            "transformers",
            "--set python_env_lock: the plan decides this one",
            "say --set environment.lock=NAME",
        ),
        ("smoke_test_token", "1", "unknown variable smoke_test_token", "did you mean smoke_test_tokens?"),
    ],
)
def test_a_value_of_another_type_is_refused(variable: str, text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        roles.parse(variable, text)
    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_a_list_of_mappings_takes_no_texts() -> None:
    with pytest.raises(UsageError, match="host_base_users=bob: not a mapping each"):
        roles.parse("host_base_users", "bob")
