"""The action provision_driver: what it asks of a box, and the patterns that the lookup beside it gives."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from provisioner import layout
from provisioner.errors import ProvisionError
from provisioner.preflight.request import certificates
from provisioner.target.probe import driver_names
from provisioner.target.system import driver
from tests.unit.ansible.test_actions import load

action = load("provision_driver")
ROLE = layout.roles() / "nvidia_driver"


def asked(monkeypatch: pytest.MonkeyPatch, **args: Any) -> tuple[str, dict[str, Any]]:
    """The entry and the request of a task with these arguments."""
    plugin = object.__new__(action.ActionModule)
    found: list[tuple[str, dict[str, Any]]] = []

    def ask(_self: Any, entry: str, request: dict[str, Any], _vars: Any) -> dict[str, Any]:
        found.append((entry, request))
        return {"changed": False}

    for name, value in {
        "checking": False,
        "role_dir": lambda *_: ROLE,
        "inputs": lambda *_: {"nvidia_driver_action": "install", "nvidia_driver_load": ["ib_umad"]},
        "place": lambda *_: "/state",
        "ask": ask,
    }.items():
        monkeypatch.setattr(action.ActionModule, name, value, raising=False)
    plugin.act(args, {})
    return found[0]


def test_what_a_box_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, do="check", installed="true", own={"libcuda1": "550"}) == (
        "system.driver",
        {
            "do": "check",
            "wants": {"action": "install", "load": ["ib_umad"]},
            "own": {"libcuda1": "550"},
            "install": True,
            "loaded": "",
            "said": "",
            "certificates": certificates(),
            "state": "/state",
            "check": False,
        },
    )


def test_what_it_does_is_what_the_box_does_and_the_documentation_says() -> None:
    documented = yaml.safe_load(load_text("modules/provision_driver.py"))
    choices = documented["options"]["do"]["choices"]
    assert sorted(choices) == sorted(action.DOINGS) == sorted(driver.DOINGS)
    assert set(documented["options"]) == set(action.ActionModule._VALID_ARGS)


def load_text(name: str) -> str:
    """The documentation in a module's file."""
    text = (layout.roles().parent / "provisioner/ansible" / name).read_text(encoding="utf-8")
    return text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0]


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProvisionError, match="do: laod is nothing to do about a driver"):
        asked(monkeypatch, do="laod")


def test_the_lookup_gives_the_patterns_of_the_drivers_packages() -> None:
    from provisioner.ansible.lookup.provision_driver_packages import LookupModule

    assert LookupModule().run([]) == driver_names.patterns()
