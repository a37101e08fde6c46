"""The roles of a playbook that runs without the CLI: the usual ones, and those that a variable asks for."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2.nativetypes import NativeEnvironment

from provisioner import layout
from provisioner.compat.roles import BY_NEED, ORDER
from provisioner.yamlfile import load_yaml

USUAL = [role for role in ORDER if role not in BY_NEED]


def usual(variables: dict[str, Any]) -> list[str]:
    text = (layout.playbooks() / "group_vars/all.yml").read_text(encoding="utf-8")
    template = NativeEnvironment().from_string(load_yaml(text)["provision_usual_roles"])
    found: Any = template.render(**variables)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("variables", "more"),
    [
        ({}, []),
        ({"nvidia_repository_name": "", "nvidia_driver_action": "none", "cuda_toolkit_release": ""}, []),
        ({"nvidia_repository_name": "debian12"}, ["nvidia_repository"]),
        ({"nvidia_driver_action": "install"}, ["nvidia_driver"]),
        ({"cuda_toolkit_release": "12.4"}, ["cuda_toolkit"]),
        ({"kernel_options_boot": ["iommu=pt"]}, ["kernel_options"]),
        ({"kernel_options_modprobe": {"nvidia": {}}}, ["kernel_options"]),
        ({"kernel_options_blacklist": ["nouveau"]}, ["kernel_options"]),
        (
            {
                "nvidia_repository_name": "debian12", "nvidia_driver_action": "keep",
                "cuda_toolkit_release": "12.4", "kernel_options_blacklist": ["nouveau"],
            },
            list(BY_NEED),
        ),
    ],
)  # fmt: skip
def test_a_role_that_changes_the_system_is_asked_for(variables: dict[str, Any], more: list[str]) -> None:
    assert usual(variables) == [role for role in ORDER if role in (*USUAL, *more)]


@pytest.mark.parametrize("playbook", ["up.yml", "verify.yml"])
def test_playbooks_fall_back_on_them(playbook: str) -> None:
    text = (layout.playbooks() / playbook).read_text(encoding="utf-8")
    assert "provision_roles | default(provision_usual_roles)" in text


def test_up_has_its_roles_in_their_order_and_weights_come_down_meanwhile() -> None:
    (play,) = load_yaml((layout.playbooks() / "up.yml").read_text(encoding="utf-8"))
    included = [
        (task["ansible.builtin.include_role"]["name"], task["ansible.builtin.include_role"].get("tasks_from"))
        for task in play["tasks"]
        if "ansible.builtin.include_role" in task
    ]
    assert [name for name, part in included if part is None] == list(ORDER)
    start = included.index(("model_weights", "start"))
    assert start < included.index(("nvidia_repository", None))
