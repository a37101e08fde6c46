"""The actions provision_refresh and provision_kernel_options: what is asked, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from provisioner.preflight import command_line
from tests.unit.ansible.test_actions import load

Asked = list[tuple[str, dict[str, Any]]]


def action(name: str, answer: dict[str, Any], asked: Asked) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """`act` of an action whose box is emulated: it answers this, and is checked only."""

    class Emulated(load(name).ActionModule):  # type: ignore[misc]
        checking = True

        def place(self, task_vars: object) -> str:
            return "/state"

        def ask(self, entry: str, request: dict[str, Any], task_vars: object) -> dict[str, Any]:
            asked.append((entry, request))
            return answer

    one = Emulated.__new__(Emulated)
    return lambda args: dict(one.act(args, {}))


def test_a_refresh() -> None:
    asked: Asked = []
    act = action("provision_refresh", {"changed": True, "said": "the boot menu was made anew"}, asked)
    given = {"what": "boot", "inputs": ["/etc/default/grub"]}
    assert act(given) == {"changed": True, "msg": "the boot menu was made anew"}
    assert asked == [("system.refresh", {**given, "state": "/state", "check": True})]


ANSWER = {"changed": True, "said": ["one", "two"], "resources": [], "restart": None, "initramfs": []}


def test_kernel_options() -> None:
    asked: Asked = []
    act = action("provision_kernel_options", ANSWER, asked)
    given = {"do": "apply", "modprobe": {"nvme": {"a": 1}}, "boot": ["iommu=pt"]}
    assert act(given) == {**ANSWER, "msg": "one; two"}
    names = {"known": command_line.known(), "astray": command_line.astray()}
    assert asked == [("system.kernel_options", {**given, **names, "state": "/state", "check": True})]


def test_nothing_is_said_of_nothing() -> None:
    assert (
        action("provision_kernel_options", {**ANSWER, "said": []}, [])({"do": "look"})["msg"]
        == "nothing to do"
    )


def test_what_can_be_done_is_named() -> None:
    with pytest.raises(ProvisionError, match="do: undo is unknown") as caught:
        action("provision_kernel_options", ANSWER, [])({"do": "undo"})
    assert caught.value.hint == "one of look, apply"
