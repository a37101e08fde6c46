"""state.yml is rendered with public variables, without Ansible."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioner import layout, profiles
from provisioner.ansible.state import hold, render_state
from provisioner.argspec import read_defaults
from provisioner.compat.roles import ORDER
from provisioner.errors import ProvisionError

FILE = """
- let: {home: "{{ r_dir }}/home"}
- {id: r.home, what: a home, file: {path: "{{ home }}", mode: "0755"}, rc: 0}
- {id: "r.user.{{ item.name }}", what: an account, each: r_users, account: "{{ item.name }}"}
- {id: r.never, what: nothing, when: r_users | length > 5, package: none}
- {id: r.env, what: a lock, command: ["{{ 'llama' | lock_digest }}"]}
"""


def write(folder: Path, text: str) -> Path:
    (folder / "state.yml").write_text(text)
    return folder


def test_everything_is_filled_in(tmp_path: Path) -> None:
    variables: dict[str, Any] = {"r_dir": "/opt/a: b", "r_users": [{"name": "x"}, {"name": "y"}]}
    assert render_state(write(tmp_path, FILE), variables) == [
        {"id": "r.home", "what": "a home", "file": {"path": "/opt/a: b/home", "mode": "0755"}, "rc": 0},
        {"id": "r.user.x", "what": "an account", "account": "x"},
        {"id": "r.user.y", "what": "an account", "account": "y"},
        {"id": "r.env", "what": "a lock", "command": [profiles.lock_digest("llama")[:12]]},
    ]


@pytest.mark.parametrize(
    "text",
    [
        '- {id: a, what: "{{ unknown }}"}',
        "- {id: a, what: b, when: unknown}",
        "- {id: a, what: b, each: unknown}",
    ],
)
def test_a_variable_that_is_not_public_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProvisionError, match="does not render: 'unknown' is undefined"):
        render_state(write(tmp_path, text), {})


def test_a_receipts_input_of_another_type_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "state.yml").write_text("[{id: a, what: a, each: names, command: ['{{ item }}']}]")
    with pytest.raises(ProvisionError, match="does not render: 'int' object is not iterable"):
        render_state(tmp_path, {"names": 5})


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match=r"has no state\.yml"):
        render_state(tmp_path, {})
    with pytest.raises(ProvisionError, match="is not YAML"):
        render_state(write(tmp_path, "- {"), {})


def test_only_what_does_not_hold_is_explained() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def ask(entry: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append((entry, request))
        if entry == "runtime.fingerprint":
            return {"differs": [f"{request['path']} is wrong"], "oddities": []}
        oks = {"a": True, "b": False, "c": None, "d": False}
        return {
            "results": [{"id": i["id"], "ok": oks[i["id"]], "observed": ""} for i in request["assertions"]]
        }

    assertions = [{"id": name, "package": "p", "explain": {"path": f"/{name}"}} for name in "abc"]
    results = hold([*assertions, {"id": "d", "package": "p"}], ask)
    assert [(one["id"], one.get("why")) for one in results] == [
        ("a", None), ("b", ["/b is wrong"]), ("c", None), ("d", None),
    ]  # fmt: skip
    assert asked == [
        ("probe.state", {"assertions": [{"id": name, "package": "p"} for name in "abcd"]}),
        ("runtime.fingerprint", {"path": "/b"}),
    ]


# Roles that have nothing to do by default, with the least that gives them something.
BY_NEED: Mapping[str, Mapping[str, Any]] = {
    "nvidia_repository": {"nvidia_repository_name": "debian12"},
    "nvidia_driver": {"nvidia_driver_action": "install", "nvidia_driver_version": "550.163.01"},
    "cuda_toolkit": {"cuda_toolkit_release": "12.4"},
    "kernel_options": {"kernel_options_boot": ["iommu=pt"]},
}


@pytest.mark.parametrize("role", ORDER)
def test_every_role_asserts_something_where_it_has_something_to_do(role: str) -> None:
    folder = layout.roles() / role
    assertions = render_state(folder, {**read_defaults(folder), **BY_NEED.get(role, {})})
    ids = [one["id"] for one in assertions]
    assert ids
    assert len(set(ids)) == len(ids)
    assert all(one.get("what") and set(one) & {"command", "file", "package", "account"} for one in assertions)


def test_a_text_in_an_expression_stands_for_itself(tmp_path: Path) -> None:
    folder = layout.roles() / "host_base"
    index = "https://m/simple?a=1&b=c+d"
    rendered = render_state(folder, {**read_defaults(folder), "host_base_pypi_index": index})
    (network,) = [one["file"] for one in rendered if one["id"] == "host_base.network"]
    assert re.search(network["contains"], f'"pypi_index": "{index}"')
    assert not re.search(network["contains"], '"pypi_index": "https://m/simpl?a=1&b=ccd"')


def test_a_role_asserts_more_when_it_is_asked_for_more() -> None:
    folder = layout.roles() / "host_base"
    more = {
        "host_base_ca_certificates": ["PEM"], "host_base_apt_mirror": "http://m", "host_base_https_proxy": "http://p",
        "host_base_users": [{"name": "llm"}],
    }  # fmt: skip
    base = read_defaults(folder)
    extra = {one["id"] for one in render_state(folder, {**base, **more})} - {
        one["id"] for one in render_state(folder, base)
    }
    assert extra == {"host_base.trust", "host_base.apt_mirror", "host_base.apt_proxy", "host_base.user.llm"}
